"""The routes of hosts, without trailing slashes."""

from django.urls import URLPattern

urlpatterns: list[URLPattern] = []
