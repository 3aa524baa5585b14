"""Scrape the metrics, and parse them with Prometheus' own client library."""

from collections.abc import Iterable
from typing import Any

import requests
from prometheus_client import Metric, parser
from prometheus_client.openmetrics.parser import text_string_to_metric_families as read_openmetrics

from tests.stack import Stack

PROMETHEUS = (  # what Prometheus 3 sends
    "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,"
    "application/openmetrics-text;version=0.0.1;q=0.5,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,"
    "text/plain;version=0.0.4;q=0.3,*/*;q=0.2"
)

Labels = frozenset[tuple[str, str]]


class Scrape:
    """The samples of a scrape. No two are of one name and the same labels."""

    def __init__(self, text: str, families: Iterable[Metric] | None = None) -> None:
        self.text = text
        self.families = list(families or parser.text_string_to_metric_families(text))
        self.samples: dict[tuple[str, Labels], float] = {}
        for sample in (sample for family in self.families for sample in family.samples):
            key = sample.name, frozenset(sample.labels.items())
            assert key not in self.samples, key
            self.samples[key] = sample.value

    def value(self, metric: str, /, **labels: Any) -> float | None:
        """The sample that has exactly these labels."""
        wanted = frozenset((label, str(value)) for label, value in labels.items())
        return self.samples.get((metric, wanted))

    def by(self, label: str, metric: str, /, **labels: Any) -> dict[str, float]:
        """The samples that have at least these labels, by one more of them."""
        wanted = {(each, str(value)) for each, value in labels.items()}
        return {
            dict(found)[label]: value
            for (sample, found), value in self.samples.items()
            if sample == metric and wanted <= found
        }


def get(stack: Stack, token: str | None = None, **headers: str) -> requests.Response:
    """``GET /metrics`` with the administrator's token."""
    authorization = f"Bearer {stack.token if token is None else token}"
    return requests.get(
        f"{stack.url}/metrics", headers={"Authorization": authorization, **headers}, timeout=60
    )


def scrape(stack: Stack) -> Scrape:
    """In the text format."""
    answer = get(stack)
    assert answer.status_code == 200, answer.text
    return Scrape(answer.text)


def scrape_as_prometheus(stack: Stack) -> Scrape:
    """In the format that Prometheus prefers, which has stricter rules."""
    answer = get(stack, Accept=PROMETHEUS)
    assert answer.status_code == 200, answer.text
    return Scrape(answer.text, read_openmetrics(answer.text))
