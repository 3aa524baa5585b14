"""``GET health``."""

import re
from datetime import UTC, datetime, timedelta

import psutil

from tests.stack import PROJECT, Stack

TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")


def moment(text: str) -> datetime:
    assert TIME.fullmatch(text)
    return datetime.fromisoformat(text)


def test_health_describes_the_process_that_answers(stack: Stack) -> None:
    client = stack.client(None)
    health = client.session.get(f"{client.base}/health", headers={"User-Agent": "test/1.0"}).json()
    assert health.keys() == {
        "status", "service", "built", "started", "memory", "fds", "pid", "ip", "userAgent",
    }  # fmt: skip
    assert health["status"] == "ok"
    assert health["service"] == "hoody-daemon"
    assert health["ip"] == "127.0.0.1"
    assert health["userAgent"] == "test/1.0"
    process = psutil.Process(health["pid"])
    assert stack.supervisord_pid in {parent.pid for parent in process.parents()}
    assert health["memory"].keys() == {"rss", "heap"}
    assert health["memory"]["heap"] is None
    assert 0.5 < health["memory"]["rss"] / process.memory_info().rss < 2
    assert abs(health["fds"] - process.num_fds()) < 20
    started = datetime.fromtimestamp(process.create_time(), UTC)
    assert abs(moment(health["started"]) - started) < timedelta(seconds=2)


def test_built_is_the_time_of_the_newest_source_file(stack: Stack) -> None:
    built = moment(stack.client(None).get("health").json()["built"])
    files = [
        file for folder in ("hoody_site", "daemon_programs") for file in (PROJECT / folder).rglob("*.py")
    ]
    oldest = min(datetime.fromtimestamp(file.stat().st_mtime, UTC) for file in files)
    assert oldest - timedelta(seconds=1) <= built <= datetime.now(UTC)
