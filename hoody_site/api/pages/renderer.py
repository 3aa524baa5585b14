"""Show a response as a page, with links to what belongs to it and forms for what can be done."""

from collections.abc import Mapping
from typing import Any

from rest_framework import status
from rest_framework.renderers import BrowsableAPIRenderer

from hoody_site.api.pages.json_html import json_html
from hoody_site.api.pages.operations import operation_of
from hoody_site.api.pages.related import LINKED_IDS, SECTIONS, related_of
from hoody_site.api.renderers import FastJSONRenderer

_MAX_CHARACTERS = 512 * 1024  # escaping, sending and showing more could take minutes


class ApiPageRenderer(BrowsableAPIRenderer):
    """Render a response with a template of the project instead of Django REST framework's own.

    That one highlights and links whole responses, which keeps a browser busy for minutes, and its forms send
    media types that this API does not accept.
    """

    def get_context(
        self, data: Any, accepted_media_type: str | None, renderer_context: Mapping[str, Any]
    ) -> dict[str, Any]:
        """Return what the template needs."""
        view, request, response = (renderer_context[key] for key in ("view", "request", "response"))
        renderer = self.get_default_renderer(view) or FastJSONRenderer()
        content = self.get_content(renderer, data, accepted_media_type, renderer_context)
        route = request.resolver_match.url_name if request.resolver_match else None
        # A page that only takes POST is about that; its form is below.
        operation = operation_of(view, request.method.lower()) or operation_of(view, "post")
        related = related_of(request, route, response.status_code)
        linked = LINKED_IDS.get(route or "") if status.is_success(response.status_code) else None
        return {
            "request": request,
            "response": response,
            "user": request.user,
            "name": operation.title if operation else view.get_view_name(),
            "description": operation.description if operation else view.get_view_description(),
            "sections": SECTIONS,
            "route": route,
            "related": related,
            "needs_login": response.status_code == status.HTTP_401_UNAUTHORIZED,
            "needs_permission": request.method == "GET"
            and response.status_code == status.HTTP_405_METHOD_NOT_ALLOWED
            and not any(verb.is_current for verb in related.verbs),
            "content": json_html(content[:_MAX_CHARACTERS], linked.address_of if linked else None),
            "left_out": max(len(content) - _MAX_CHARACTERS, 0),
        }
