"""Content negotiation: HTML for browsers, JSON for all other clients."""

from typing import Any

from rest_framework.exceptions import NotAcceptable
from rest_framework.negotiation import DefaultContentNegotiation
from rest_framework.request import Request


class ForgivingContentNegotiation(DefaultContentNegotiation):
    """Answer with JSON if no requested media type is available: docs/contract.md, section 1, has no 406."""

    def select_renderer(self, request: Request, renderers: Any, format_suffix: Any = None) -> Any:
        """Return the renderer and its media type."""
        try:
            return super().select_renderer(request, renderers, format_suffix)
        except NotAcceptable:
            return renderers[0], renderers[0].media_type
