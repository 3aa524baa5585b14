"""Response headers that restrict browsers, in addition to those that Django has settings for."""

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse

# Scripts, styles and everything else must be files of this host; inline scripts and styles are refused. The
# browsable API needs a few `style` attributes, which can't load anything.
_PAGE = (
    "default-src 'self'; img-src 'self' data:; style-src-attr 'unsafe-inline'; object-src 'none'; "
    "base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
# A worker has the policy of its script's response: the log viewer's connects to streams.
_SCRIPT = "default-src 'none'; script-src 'self'; connect-src 'self'; frame-ancestors 'none'"
_NO_PAGE = "default-src 'none'; frame-ancestors 'none'"


class BrowserPolicyMiddleware:
    """Set one Content-Security-Policy for HTML pages and stricter ones for all other responses.

    It is the first middleware, so that no response is sent without the header.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self.get_response(request)
        response["Content-Security-Policy"] = _policy_for(response.get("Content-Type", ""))
        response["Cross-Origin-Resource-Policy"] = "same-origin"
        return response


def _policy_for(content_type: str) -> str:
    if content_type.startswith("text/html"):
        return _PAGE
    return _SCRIPT if content_type.startswith("text/javascript") else _NO_PAGE
