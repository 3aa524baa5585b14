"""Measure how long requests take, for the metrics.

Labels have few possible values: the name of the route instead of the path, and standard methods only.
Otherwise a client could exhaust the memory with requests for paths that don't exist.
"""

from collections.abc import Callable
from time import perf_counter

from django.http import HttpRequest, HttpResponse
from prometheus_client import Gauge, Histogram, disable_created_metrics

_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_OTHER = "other"  # as a route: static files, and paths that don't exist
# Seconds: ordinary requests take a few milliseconds, those that wait for a program up to minutes.
_BUCKETS = (0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
_STREAM = "text/event-stream"

disable_created_metrics()  # they would add a line with the time of creation to each series

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
    """Measure every request except live streams. Only ``BrowserPolicyMiddleware`` wraps it."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        with in_flight.track_inprogress():
            started = perf_counter()
            response = self.get_response(request)
            seconds = perf_counter() - started
        if not response.headers.get("Content-Type", "").startswith(_STREAM):
            duration.labels(*_labels(request, response)).observe(seconds)
        return response


def _labels(request: HttpRequest, response: HttpResponse) -> tuple[str, str, str]:
    route = request.resolver_match.view_name if request.resolver_match else _OTHER
    method = request.method if request.method in _METHODS else _OTHER
    return route, method, f"{response.status_code // 100}xx"
