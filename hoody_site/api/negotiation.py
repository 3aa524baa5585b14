"""Which form an answer takes: HTML for a browser, JSON for everybody else."""

from typing import Any

from rest_framework.exceptions import NotAcceptable
from rest_framework.negotiation import DefaultContentNegotiation
from rest_framework.request import Request


class ForgivingContentNegotiation(DefaultContentNegotiation):
    """A client that asks for what we don't have gets JSON: the contract knows no 406."""

    def select_renderer(self, request: Request, renderers: Any, format_suffix: Any = None) -> Any:
        try:
            return super().select_renderer(request, renderers, format_suffix)
        except NotAcceptable:
            return renderers[0], renderers[0].media_type
