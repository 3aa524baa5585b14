"""All addresses: the contract's API, its documentation, and the operator's desk."""

from django.contrib import admin
from django.urls import include, path
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerView

from hoody_site.health import HealthView
from hoody_site.home import HomeView

urlpatterns = [
    path("", HomeView.as_view(), name="home"),
    path("api/v1/daemon/health", HealthView.as_view(), name="health"),
    path("api/v1/daemon/", include("daemon_programs.urls")),
    path("api/v1/daemon/", include("quick_start.urls")),
    path("api/schema/", SpectacularAPIView.as_view(), name="schema"),
    path("api/docs/", SpectacularSwaggerView.as_view(url_name="schema"), name="docs"),
    path("admin/", admin.site.urls),
]
