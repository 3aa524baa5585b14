"""The logs of several hosts, merged by time. They are on the hosts, which are asked side by side."""

import heapq
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from functools import cache
from typing import Any, NamedTuple

import orjson

from daemon_programs.exceptions import DaemonError, Refused
from daemon_programs.supervisor.gateway import changes
from fleet.models import Host, Link
from fleet.reading.hosts import KnownHost

MAX_HOSTS = 20
_ANSWER_SECONDS = 5.0
_WHOLE_SECONDS = 12.0  # with the time to connect, and for an answer that drips
_ODD = "host_answer"  # the code of an answer that no daemon gives
_HELPERS = 20  # of all requests together


class _Heard(NamedTuple):
    """What a host has answered: lines, or why there are none."""

    lines: list[dict[str, Any]]
    problems: list[dict[str, Any]]
    is_truncated: bool = False
    error: str = ""
    code: str = ""


def read(
    hosts: Sequence[KnownHost], query: Mapping[str, Any], lines: int, *, user: str, room: int
) -> dict[str, Any]:
    """Return the newest lines of the logs of hosts, oldest first, and what each host has said.

    ``query`` is for the hosts, ``user`` is the person that it is made for, and ``room`` is how many bytes of
    lines fit. Raise Refused for too many hosts, and TooManyWaits.
    """
    if len(hosts) > MAX_HOSTS:
        raise Refused(f"These are {len(hosts)} hosts, and at most {MAX_HOSTS} are asked at once")
    heard = _ask(hosts, query, user) if hosts else []
    found = list(heapq.merge(*(_placed(host.name, each) for host, each in zip(hosts, heard, strict=True))))
    newest = [line for *_, line in found[-lines:]]
    fitting = _newest_that_fit(newest, room)
    is_cut = len(fitting) < len(newest) or any(each.is_truncated for each in heard)
    problems = [
        _of(host.name, problem) for host, each in zip(hosts, heard, strict=True) for problem in each.problems
    ]
    return {
        "lines": fitting,
        "hosts": [_document(host, each) for host, each in zip(hosts, heard, strict=True)],
        **({"problems": problems} if problems else {}),
        **({"truncated": True} if is_cut else {}),
    }


def _document(host: KnownHost, heard: _Heard) -> dict[str, Any]:
    """Return how a host has answered. What it has answered is as old as the answer, unlike what is stored."""
    return {"name": host.name, **({"error": heard.error, "code": heard.code} if heard.error else {})}


def _ask(hosts: Sequence[KnownHost], query: Mapping[str, Any], user: str) -> list[_Heard]:
    addresses = Host.objects.in_bulk([host.id for host in hosts])
    with changes.watch():  # counts it among the requests that wait
        futures = [_helpers().submit(_ask_one, host, addresses.get(host.id), query, user) for host in hosts]
        wait(futures, timeout=_WHOLE_SECONDS)
    return [future.result() if future.done() else _late(future.cancel()) for future in futures]


@cache
def _helpers() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(_HELPERS, thread_name_prefix="hosts")


def _late(was_queued: bool) -> _Heard:
    sentence = "Too many hosts are asked already" if was_queued else "It has not answered in time"
    return _Heard([], [], error=sentence, code="host_unreachable")


def _ask_one(known: KnownHost, host: Host | None, query: Mapping[str, Any], user: str) -> _Heard:
    if host is None:
        return _Heard([], [], error=f"Host '{known.name}' not found", code="not_found")
    if known.state == Link.State.REFUSED:  # a host counts tokens that it does not know
        return _Heard([], [], error=known.error or "It has refused the hub", code="host_refused")
    from fleet import client  # loads what an ordinary stack has no use for

    try:
        answer = client.call(host, "GET", "logs", query=query, user=user, seconds=_ANSWER_SECONDS)
    except DaemonError as problem:
        return _Heard([], [], error=str(problem), code=problem.code)
    document = answer.document if isinstance(answer.document, dict) else {}
    if not answer.is_ok:
        code = document.get("code")
        return _Heard([], [], error=answer.error, code=code if isinstance(code, str) else _ODD)
    if not _is_list_of_objects(document.get("lines")):
        return _Heard([], [], error="Its answer is not that of a daemon", code=_ODD)
    problems = document.get("problems", [])
    return _Heard(
        document["lines"],
        problems if _is_list_of_objects(problems) else [],
        is_truncated=document.get("truncated") is True,
    )


def _is_list_of_objects(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(each, dict) for each in value)


def _placed(host: str, heard: _Heard) -> Iterator[tuple[str, str, int, dict[str, Any]]]:
    """Yield the lines of a host with what orders them: a line without a time stays after the one before."""
    time = next((line["time"] for line in heard.lines if _has_time(line)), "")
    for number, line in enumerate(heard.lines):
        if _has_time(line):
            time = max(time, line["time"])  # heapq.merge needs each list in order
        yield time, host, number, _of(host, line)


def _of(host: str, told: dict[str, Any]) -> dict[str, Any]:
    """Return what a host has told with its name first, whatever it calls itself."""
    return {"host": host, **told} | {"host": host}


def _has_time(line: dict[str, Any]) -> bool:
    return isinstance(line.get("time"), str)


def _newest_that_fit(lines: list[dict[str, Any]], room: int) -> list[dict[str, Any]]:
    fitting: list[dict[str, Any]] = []
    for line in reversed(lines):
        room -= len(orjson.dumps(line)) + 1
        if room < 0 and fitting:
            break
        fitting.append(line)
    return fitting[::-1]
