"""How long requests take, for the metrics.

Labels are taken from short lists only: the route's name instead of the path, and no method that isn't one.
Otherwise whoever can connect could fill the memory by asking for what doesn't exist.
"""

from collections.abc import Callable
from time import perf_counter

from django.http import HttpRequest, HttpResponse
from prometheus_client import Gauge, Histogram, disable_created_metrics

_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_OTHER = "other"  # of routes: the files of the pages, and addresses that don't exist
# From an ordinary answer, a few milliseconds, to requests that wait for a program.
_BUCKETS = (0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
_STREAM = "text/event-stream"

disable_created_metrics()  # one more line for each, which says since when it is counted

duration = Histogram(
    "daemon_http_request_duration_seconds",
    "From a request to the beginning of its answer, by route, method and class of status; without streams.",
    ["route", "method", "status"],
    buckets=_BUCKETS,
    registry=None,
)
in_flight = Gauge(
    "daemon_http_requests_in_flight",
    "Requests that are served at the moment: the one for these metrics is among them, open streams are not.",
    registry=None,
)


class LatencyMiddleware:
    """Measures every request that isn't answered with a stream. The outermost but for the headers."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        with in_flight.track_inprogress():
            begun = perf_counter()
            response = self.get_response(request)
            seconds = perf_counter() - begun
        if not response.headers.get("Content-Type", "").startswith(_STREAM):
            duration.labels(*_labels(request, response)).observe(seconds)
        return response


def _labels(request: HttpRequest, response: HttpResponse) -> tuple[str, str, str]:
    route = request.resolver_match.view_name if request.resolver_match else _OTHER
    method = request.method if request.method in _METHODS else _OTHER
    return route, method, f"{response.status_code // 100}xx"
