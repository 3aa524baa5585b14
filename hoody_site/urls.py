"""URL configuration: the API, its documentation, metrics, and the admin."""

from django.contrib import admin
from django.urls import include, path
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerSplitView

from daemon_programs.admin.permissions import ask_for_view_first
from hoody_site.access.login import login, password_change
from hoody_site.api.health import HealthView
from hoody_site.api.joining import JoinView
from hoody_site.api.program_schema import program_schema
from hoody_site.api.ready import ReadyView
from hoody_site.home import HomeView
from hoody_site.metrics.views import MetricsViewSet

admin.autodiscover()
ask_for_view_first(admin.site)

handler403 = "hoody_site.console.errors.forbidden"
handler404 = "hoody_site.console.errors.not_found"

urlpatterns = [
    path("", HomeView.as_view(), name="home"),
    path("api/v1/daemon/health", HealthView.as_view(), name="health"),
    path("api/v1/daemon/ready", ReadyView.as_view(), name="ready"),
    path("api/v1/daemon/", include("daemon_programs.api.urls")),
    path("api/v1/daemon/", include("quick_start.api.urls")),
    path("api/v1/daemon/hosts/join", JoinView.as_view(), name="host-join"),
    path("api/v1/daemon/", include("fleet.api.urls")),
    path("metrics", MetricsViewSet.as_view({"get": "scrape"}), name="metrics"),
    path("api/schema/", SpectacularAPIView.as_view(), name="schema"),
    path("api/programs.schema.json", program_schema, name="program-schema"),
    path("api/docs/", SpectacularSwaggerSplitView.as_view(url_name="schema"), name="docs"),
    # These two replace the admin's own views.
    path("admin/login/", login),
    path("admin/password_change/", admin.site.admin_view(password_change, cacheable=True)),
    path("admin/", admin.site.urls),
]
