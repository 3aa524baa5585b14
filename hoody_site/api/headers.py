"""What browsers may do with our answers, beside the headers that Django has settings for."""

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse

# Scripts, styles and everything else from this host alone, none of them written into the page. Only the
# browsable API has a few `style` attributes, which can show nothing that a page doesn't have.
_PAGE = (
    "default-src 'self'; img-src 'self' data:; style-src-attr 'unsafe-inline'; object-src 'none'; "
    "base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
_NO_PAGE = "default-src 'none'; frame-ancestors 'none'"


class BrowserPolicyMiddleware:
    """One Content-Security-Policy for pages, one for the rest. The first of all: no answer goes without."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self.get_response(request)
        is_page = response.get("Content-Type", "").startswith("text/html")
        response["Content-Security-Policy"] = _PAGE if is_page else _NO_PAGE
        response["Cross-Origin-Resource-Policy"] = "same-origin"
        return response
