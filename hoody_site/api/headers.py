"""Response headers that restrict browsers, in addition to those that Django has settings for."""

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse

# Scripts, styles and everything else must be files of this host; inline scripts and styles are refused. The
# browsable API needs a few `style` attributes, which can't load anything.
_PAGE = (
    "default-src 'self'; img-src 'self' data:; style-src-attr 'unsafe-inline'; object-src 'none'; "
    "base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
_NO_PAGE = "default-src 'none'; frame-ancestors 'none'"


class BrowserPolicyMiddleware:
    """Set one Content-Security-Policy for HTML pages and a stricter one for all other responses.

    It is the first middleware, so that no response is sent without the header.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self.get_response(request)
        is_page = response.get("Content-Type", "").startswith("text/html")
        response["Content-Security-Policy"] = _PAGE if is_page else _NO_PAGE
        response["Cross-Origin-Resource-Policy"] = "same-origin"
        return response
