"""The metrics of requests, which requests for unknown paths can't make grow."""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
import requests
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.test import RequestFactory
from prometheus_client import REGISTRY, CollectorRegistry

from hoody_site.metrics import latency
from tests.metrics_client import Scrape, get, scrape
from tests.processes import LONG_RUNNING
from tests.stack import Api, Stack, eventually
from tests.temporary_programs import Quick

DURATION = "daemon_http_request_duration_seconds"


def count(found: Scrape, route: str, method: str = "GET", status: str = "2xx") -> float:
    return found.value(f"{DURATION}_count", route=route, method=method, status=status) or 0


def test_requests_are_counted_by_route_method_and_class_of_status(api: Api, stack: Stack) -> None:
    id = api.add()
    before = scrape(stack)
    for _ in range(3):
        api.get(f"programs/{id}")
    api.get("programs/999999999")
    api.ok(f"programs/{id}/stop")
    after = scrape(stack)
    for more, *labels in [
        (3, "program", "GET", "2xx"),
        (1, "program", "GET", "4xx"),
        (1, "program-stop", "POST", "2xx"),
        (1, "metrics", "GET", "2xx"),
    ]:
        assert count(after, *labels) - count(before, *labels) == more, labels


def test_addresses_never_become_labels(api: Api, stack: Stack) -> None:
    id = api.add()
    before = scrape(stack)
    for path in (f"api/v1/daemon/programs/{id}", "api/v1/no-such-route", "wp-login.php", "admin/no/such"):
        requests.get(f"{stack.url}/{path}", headers=dict(api.session.headers), timeout=60)
    after = scrape(stack)
    routes = set(after.by("route", f"{DURATION}_count"))
    assert "program" in routes
    assert not any("/" in route or str(id) in route for route in routes)
    assert count(after, "other", "GET", "4xx") - count(before, "other", "GET", "4xx") == 2


@pytest.mark.parametrize("method", ["BREW", "PROPFIND", "MKCALENDAR"])
def test_methods_that_are_none_are_one(stack: Stack, method: str) -> None:
    labels = "health", "other", "4xx"
    before = count(scrape(stack), *labels)
    assert requests.request(method, f"{stack.url}/api/v1/daemon/health", timeout=60).status_code == 405
    after = scrape(stack)
    assert count(after, *labels) == before + 1
    assert method not in after.by("method", f"{DURATION}_count")


def test_requests_without_a_permission_are_counted_too(stack: Stack) -> None:
    before = count(scrape(stack), "metrics", "GET", "4xx")
    assert get(stack, token="no such").status_code == 401
    assert count(scrape(stack), "metrics", "GET", "4xx") == before + 1


def test_requests_that_wait_are_in_flight_and_have_buckets_of_their_own(quick: Quick, stack: Stack) -> None:
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(quick.launch, LONG_RUNNING, wait="exit", timeout=300)
        eventually(lambda: scrape(stack).value("daemon_http_requests_in_flight") == 2)
        started_at = time.monotonic()
        eventually(lambda: time.monotonic() - started_at > 1)
        quick.stop(eventually(lambda: next(iter(quick.listed()), None)))
        waiting.result()
    found = scrape(stack)
    assert found.value("daemon_http_requests_in_flight") == 1
    buckets = found.by("le", f"{DURATION}_bucket", route="quick-start", method="POST", status="2xx")
    assert buckets["0.5"] < buckets["60.0"] == buckets["+Inf"]


def test_open_streams_are_counted_and_neither_measured_nor_in_flight(api: Api, stack: Stack) -> None:
    eventually(lambda: scrape(stack).value("daemon_streams_open") == 0)
    with api.session.get(f"{api.base}/events/stream", stream=True, timeout=60) as stream:
        assert stream.status_code == 200
        found = scrape(stack)
        assert found.value("daemon_streams_open") == 1
        assert found.value("daemon_http_requests_in_flight") == 1
    eventually(lambda: scrape(stack).value("daemon_streams_open") == 0)
    after = scrape(stack)
    assert not any("stream" in route for route in after.by("route", f"{DURATION}_count", status="2xx"))


@pytest.mark.parametrize(
    ("response", "measured"),
    [
        (lambda: StreamingHttpResponse([b"data: 1\n\n"], content_type="text/event-stream"), 0),
        (lambda: HttpResponse(content_type="text/event-stream; charset=utf-8"), 0),
        (lambda: HttpResponse(status=429), 1),
        (lambda: StreamingHttpResponse([b"a file"]), 1),
    ],
)
def test_streams_are_not_measured(response: Callable[[], HttpResponse], measured: int) -> None:
    registry = CollectorRegistry()
    registry.register(latency.duration)

    def total() -> float:
        (family,) = registry.collect()
        return sum(sample.value for sample in family.samples if sample.name.endswith("_count"))

    before = total()
    latency.LatencyMiddleware(lambda request: response())(RequestFactory().get("/"))
    assert total() - before == measured


def test_middleware_costs_microseconds() -> None:
    answer = HttpResponse()
    middleware = latency.LatencyMiddleware(lambda request: answer)
    request = HttpRequest()
    request.method = "GET"
    started_at = time.process_time()
    for _ in range(1000):
        middleware(request)
    assert time.process_time() - started_at < 0.1  # 100 µs each, of the 1400 that an answer takes


def test_nothing_is_registered_globally() -> None:
    """Only the project's own metrics are exported, whatever else the process registers."""
    assert "daemon" not in "".join(REGISTRY._names_to_collectors)
