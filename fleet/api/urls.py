"""The routes of hosts, without trailing slashes. ``hosts/join``, which takes no token, is the site's."""

from django.urls import path

from fleet.api.hosts import HostViewSet

urlpatterns = [
    path("hosts", HostViewSet.as_view({"get": "list"}), name="hosts"),
    path("hosts/add", HostViewSet.as_view({"post": "add"}), name="host-add"),
    path("hosts/edit/<str:name>", HostViewSet.as_view({"post": "edit"}), name="host-edit"),
    path("hosts/remove/<str:name>", HostViewSet.as_view({"post": "remove"}), name="host-remove"),
    path("hosts/invite", HostViewSet.as_view({"post": "invite"}), name="host-invite"),
    path("hosts/<str:name>", HostViewSet.as_view({"get": "retrieve"}), name="host"),
    path("hosts/<str:name>/check", HostViewSet.as_view({"post": "check"}), name="host-check"),
]
