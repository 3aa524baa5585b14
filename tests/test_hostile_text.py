"""Text from strangers is read in a time that grows with its length, not with its square."""

import ast
import fnmatch
import itertools
import random
import re
import shlex
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from typing import Any

import pytest
import requests
from django.contrib.admin.helpers import ActionForm
from django.core.exceptions import ValidationError
from django.http import HttpRequest, parse_cookie
from django.http.request import split_domain_port
from django.utils.text import smart_split
from rest_framework import serializers
from rest_framework.negotiation import DefaultContentNegotiation
from rest_framework.request import Request
from rest_framework.utils.mediatypes import order_by_precedence as media_types_in_order

from daemon_programs.admin.presentation.logs import TERMINAL_SEQUENCES
from daemon_programs.logs import cursor
from daemon_programs.serializers.query_fields import QueryTime
from daemon_programs.text import split_words
from daemon_programs.validators import addresses, rules, webhook_config
from hoody_site.access.attempts import client_address
from tests.stack import PROJECT, Api, Stack

LENGTH = 10_000
MOST_SECONDS = 0.3  # of the processor, which others disturb; what is quadratic takes more
# Beginnings, what is repeated, and ends that make a match fail at the last moment.
BEGINNINGS = ("", "2026-01-31T", "[", '"', "\x1b[", "https://")
REPEATED = ("a", "0", " ", ".", "T", "\\", "'", ";", "a.", "T ", "\x1b]", "a-", "0-0")
ENDS = ("!", " 00:0x")


def hostile(*beginnings: str) -> Iterator[str]:
    for beginning, repeated, end in itertools.product(beginnings or BEGINNINGS, REPEATED, ENDS):
        yield (beginning + repeated * LENGTH)[:LENGTH] + end


def slowest(read: Callable[[str], object], *texts: str) -> tuple[float, str]:
    """The longest time that one of the texts took, and its beginning."""
    times = []
    for text in texts or hostile():
        begun = time.thread_time()
        with suppress(ValueError, OverflowError, UnicodeError, ValidationError, serializers.ValidationError):
            read(text)
        times.append((time.thread_time() - begun, repr(text[:20] + "…" + text[-8:])))
    return max(times)


def own_patterns() -> list[tuple[str, str]]:
    """Each regular expression of the project, and how it is used."""
    found = set()
    for folder in ("daemon_programs", "hoody_site", "quick_start"):
        for file in (PROJECT / folder).rglob("*.py"):
            text = file.read_text()
            for call in ast.walk(ast.parse(text)) if "import re" in text else ():  # to parse takes long
                match call:
                    case ast.Call(ast.Attribute(ast.Name("re"), method), [pattern, *_]) if method in METHODS:
                        found.add((METHODS[method], ast.unparse(pattern)))
    return sorted(each for each in found if each[1] not in FROM_CLIENTS)


# `sub` of a compiled one is measured with the function that uses it, in READERS.
METHODS = {
    "compile": "fullmatch",
    **{name: name for name in ("fullmatch", "match", "search", "sub", "split")},
}
# Expressions that clients write: they are given up after a time, see `test_probes`.
FROM_CLIENTS = ("self._expression",)
# The names that patterns are made of.
NAMES = {
    **vars(addresses),
    "pattern": r"\*|\.?[A-Za-z0-9.-]+|\[[0-9A-Fa-f:.]+\]",
    "translate": fnmatch.translate,
    "name": "*a*a*a*a*[a-z]*?*b",  # a glob, which a client writes
}


@pytest.mark.parametrize(("method", "source"), own_patterns())
def test_each_pattern_takes_no_time_for_hostile_text(method: str, source: str) -> None:
    pattern = re.compile(eval(source, NAMES))
    read = partial(pattern.sub, "") if method == "sub" else getattr(pattern, method)
    if isinstance(pattern.pattern, bytes):
        read = partial(_read_encoded, read)
    took, text = slowest(read)
    assert took < MOST_SECONDS, text


def _read_encoded(read: Callable[[bytes], object], text: str) -> object:
    return read(text.encode())


def query_time(text: str) -> object:
    field = QueryTime()
    field.field_name = "since"
    return field.to_internal_value(text)


def negotiate(text: str) -> object:
    request = HttpRequest()
    request.META["HTTP_ACCEPT"] = text
    return media_types_in_order(DefaultContentNegotiation().get_accept_list(Request(request)))


def client_of(text: str) -> object:
    request = HttpRequest()
    request.META = {"REMOTE_ADDR": "127.0.0.1", "HTTP_X_FORWARDED_FOR": text}
    return client_address(request)


READERS: dict[str, Callable[[str], object]] = {
    "a time in a query": query_time,
    "a command": rules.split_command,
    "a command that is checked": rules.check_command,
    "a name": rules.check_name,
    "a directory": rules.check_directory,
    "a log": rules.check_stdout_logfile,
    "an environment": lambda text: rules.check_environment({text: text}),
    "a display": rules.check_display,
    "the URL of a webhook": lambda text: webhook_config.check({"urls": [text]}),
    "the host of a webhook": lambda text: webhook_config.check({"urls": [f"https://{text}"[:2048]]}),
    "a header of a webhook": lambda text: webhook_config.check({"enabled": False, "headers": {"a": text}}),
    "a header's name": lambda text: webhook_config.check({"enabled": False, "headers": {text: "a"}}),
    "events of a webhook": lambda text: webhook_config.check({"enabled": False, "events": [text]}),
    "a cursor": cursor.Cursor.parse,
    "a log on a page": lambda text: TERMINAL_SEQUENCES.sub("", text),
    "the header Host": split_domain_port,
    "the header Accept": negotiate,
    "the header Cookie": parse_cookie,
    "the header X-Forwarded-For": client_of,
    "a search in the admin": lambda text: list(smart_split(text)),
    "an action in the admin": lambda text: ActionForm({"action": text}).is_valid(),
}


@pytest.mark.parametrize("what", READERS)
def test_each_text_of_strangers_is_read_at_once(what: str) -> None:
    took, text = slowest(READERS[what])
    assert took < MOST_SECONDS, text


@pytest.mark.parametrize("text", ["a" * 10**6, '"' * 10**6, "'" + "a" * 10**6, "\\" * 10**6, "a " * 500_000])
def test_command_of_a_megabyte_is_split_at_once(text: str) -> None:
    took, _ = slowest(split_words, text)
    assert took < 3


def test_words_are_those_of_shlex() -> None:
    chosen = random.Random(11)
    for _ in range(50_000):
        text = "".join(chosen.choice("ab '\"\\\t\n\r\u00a0é#") for _ in range(chosen.randrange(10)))
        assert outcome(split_words, text) == outcome(shlex.split, text), repr(text)


def outcome(split: Callable[[str], list[str]], text: str) -> Any:
    try:
        return split(text)
    except ValueError as problem:
        return str(problem)


@pytest.mark.parametrize(
    ("text", "is_valid"),
    [
        ("2026-01-31T22:00:00 00:00", True),
        ("2026-01-31T22:00:00.123456+01:30", True),
        ("2026-01-31 22:00", True),
        ("2026-01-31", True),
        ("2026-01-31T22:00:00." + "0" * 45, False),
        ("2026-01-31T22:00:00  00:00", False),
        ("T" * 8000 + " 00:00", False),
    ],
)
def test_times_are_read_as_before_and_long_ones_refused(text: str, is_valid: bool) -> None:
    if is_valid:
        assert query_time(text)
        return
    with pytest.raises(serializers.ValidationError, match="must be a time such as"):
        query_time(text)


# At a running stack: what the server, Django and whitenoise make of headers

HEADERS = ("Accept", "Cookie", "If-Modified-Since", "If-None-Match", "Range", "Content-Type", "Last-Event-ID")


@pytest.mark.parametrize(
    "header", [*HEADERS, "Authorization", "Accept-Encoding", "X-Forwarded-For", "Origin"]
)
def test_headers_are_read_at_once(stack: Stack, header: str) -> None:
    for repeated in ("a", "T ", "\\", "(", ",", ";", "=", "q=0;", '"', "-"):
        value = '"' + (repeated * 8000)[:8000] + "x"
        for path in ("/api/v1/daemon/health", "/static/admin/css/base.css"):
            answer = requests.get(f"{stack.url}{path}", headers={header: value}, timeout=60)
            assert answer.elapsed.total_seconds() < 2, repeated
            assert answer.status_code < 500


@pytest.mark.parametrize("repeated", ["T", "0", "T+", "+", "-"])
def test_time_of_eight_kilobytes_is_refused_at_once(api: Api, repeated: str) -> None:
    text = "2026-01-31T" + (repeated * 7900)[:7900]
    answer = api.session.get(f"{api.base}/events?since={text}", timeout=60)
    assert answer.status_code == 400
    assert answer.elapsed.total_seconds() < 2


@pytest.mark.parametrize("route", ["programs/add", "quick-start"])
def test_command_of_a_megabyte_is_refused_at_once(api: Api, route: str) -> None:
    answer = api.post(route, {"name": "long", "user": "root", "command": "a" * 1_000_000})
    assert answer.status_code == 400
    assert answer.json()["error"] == "Field 'command' has an argument that is longer than 128 KiB"
    assert answer.elapsed.total_seconds() < 5
