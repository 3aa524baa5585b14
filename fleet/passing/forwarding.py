"""Pass a request on to a host, and its answer on to the client."""

import hashlib
import re
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, suppress
from string import punctuation
from typing import Any
from urllib.parse import quote

import orjson
from django.conf import settings
from django.core.exceptions import RequestDataTooBig
from django.http import HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from rest_framework.exceptions import UnsupportedMediaType, ValidationError
from rest_framework.request import Request
from rest_framework.response import Response

from daemon_programs import actors
from daemon_programs.exceptions import DaemonError
from daemon_programs.streams.answer import stream_answer
from fleet.client import headers_for, reaching
from fleet.exceptions import HostNotFound, HostUnreachable, NotADaemon
from fleet.models import Host
from fleet.passing import history, routes, upstream
from fleet.passing.room import room
from fleet.passing.stream import HostStream
from fleet.passing.upstream import EVENTS, JSON, Answer, Call

# The headers that are passed on, in either direction, as far as they have the form that they are to have.
_TO_READ = {"Last-Event-ID": re.compile(r"[\x21-\x7e]+")}
_TO_CHANGE = {"Idempotency-Key": re.compile(r"[A-Za-z0-9._~-]{1,100}")}
_BACK = {"Retry-After": re.compile(r"[0-9]{1,9}"), "Idempotency-Replayed": re.compile("true")}
_LENGTH = re.compile(r"[0-9]{1,18}")
_PIECE_BYTES = 64 * 1024
_MOST_OF_A_PAGE = 8 * 1024 * 1024  # bytes: a page shows less
_QUERY = punctuation.replace("#", "")  # what stays as it is


def pass_on(request: Request, name: str, route: str, own: list[str]) -> HttpResponseBase:
    """Return the answer of a host to a request; ``own`` are the permissions that it takes in any case.

    Neither the client's token nor its cookies reach the host. Of headers only those that are named here are
    passed on, in both directions.
    """
    method = str(request.method)
    found = routes.find(route, method)
    content, document = _body_of(request) if method == "POST" else (None, {})
    needed = [*own, *found.permissions(request.user, document)]
    host = Host.objects.filter(name=name).first() if "\0" not in name else None  # PostgreSQL takes none
    if host is None:
        raise HostNotFound(name)
    query = quote(request.META.get("QUERY_STRING", ""), safe=_QUERY, encoding="latin-1")
    call = Call(method, _path_for(request, found), query, _headers_for(request, host), content)
    if method == "POST":
        return _changed(request, host, call)
    if method == "GET" and found.is_stream:
        return _streamed(request, host, call, needed)
    return _answered(request, host, call, found.key)


def _body_of(request: Request) -> tuple[bytes, dict[str, Any]]:
    """Return the body as it was sent, and as it is read: the checks of a body are the same for each host."""
    if int(request.META.get("CONTENT_LENGTH") or 0):
        if request.content_type.partition(";")[0].strip().lower() != JSON:
            raise UnsupportedMediaType(request.content_type)
        if len(request.body) > settings.BODY_MAX_BYTES:
            raise RequestDataTooBig
        return request.body, dict(request.data)
    return b"", {}


def _headers_for(request: Request, host: Host) -> dict[str, str]:
    headers = headers_for(host, actors.user())
    headers["Accept"] = JSON if _is_page(request) else request.accepted_media_type or JSON
    if request.method == "POST":
        headers["Content-Type"] = JSON
    for name, form in (_TO_CHANGE if request.method == "POST" else _TO_READ).items():
        if (value := request.headers.get(name)) is not None:
            if not form.fullmatch(value):
                raise ValidationError({name: [f"Header '{name}' has characters that can't stand there"]})
            headers[name] = _key_for(request, value) if name in _TO_CHANGE else value
    return headers


def _path_for(request: Request, found: routes.Route) -> str:
    return found.path.removesuffix(found.key) + _key_for(request, found.key) if found.key else found.path


def _key_for(request: Request, key: str) -> str:
    """Return the key that a host gets: there, all users of this hub are one, who has each key once.

    So no user gets the answer to another user's request, or to one of a roll-out.
    """
    return hashlib.sha256(f"{request.user.get_username()}\0{key}".encode()).hexdigest()


def _is_page(request: Request) -> bool:
    """Return whether the answer is shown as a page of the browsable API."""
    return bool(request.accepted_renderer.format == "api")


def _answered(request: Request, host: Host, call: Call, key: str) -> HttpResponseBase:
    """Return the answer to what changes nothing; one about a key tells the user's own."""
    with ExitStack() as held:
        held.enter_context(room.taken(host.name))
        answer = upstream.send(host, call)
        return _passed_on(request, host, answer, held, {"key": key} if key else {})


def _changed(request: Request, host: Host, call: Call) -> HttpResponseBase:
    """Return the answer to what may change something, and record it."""
    with ExitStack() as held:
        held.enter_context(room.taken(host.name))
        recorded = history.record(actors.user(), host.name, call.method, call.path)
        try:
            answer = upstream.send(host, call)
            response = _passed_on(request, host, answer, held)
        except DaemonError as problem:
            history.complete(recorded, None, str(problem))
            raise
        history.complete(recorded, answer.status, _error_in(response) if answer.status >= 400 else "")
        return response


def _error_in(response: HttpResponseBase) -> str:
    """Return the sentence of an error."""
    document: Any = None
    if isinstance(response, Response):
        document = response.data
    elif isinstance(response, HttpResponse):
        with suppress(ValueError):
            document = orjson.loads(response.content)
    return str(document.get("error", "")) if isinstance(document, dict) else ""


def _streamed(request: Request, host: Host, call: Call, needed: list[str]) -> HttpResponseBase:
    with room.taken(host.name):
        opened = upstream.open_stream(host, call)
    with ExitStack() as undo:
        undo.callback(opened.connection.close)
        undo.callback(opened.answer.close)
        if opened.answer.status != 200 or upstream.kind_of(opened.answer) != EVENTS:
            return _passed_on(request, host, opened.answer, ExitStack())
        response = stream_answer(request, needed, HostStream(host, opened))
        undo.pop_all()
        return response


def _passed_on(
    request: Request, host: Host, answer: Answer, held: ExitStack, own: Mapping[str, str] | None = None
) -> HttpResponseBase:
    """Return an answer of a host as one of this daemon; ``held`` is closed once its body was read.

    Fields in ``own`` take the place of the host's.
    """
    if request.method == "HEAD":
        answer.close()
        return HttpResponse(content_type=upstream.kind_of(answer), status=answer.status)
    length = _length_of(answer)
    is_parsed = bool(own) or _is_page(request)
    begin = _begin_of(answer, host, length, _MOST_OF_A_PAGE if is_parsed else _PIECE_BYTES)
    if is_parsed:
        answer.close()
        document = _parsed(begin, host)
        if own and isinstance(document, dict):
            document |= {name: value for name, value in own.items() if name in document}
        return _with_headers(Response(document, status=answer.status), answer)
    response: HttpResponseBase
    if len(begin) < _PIECE_BYTES:
        response = HttpResponse(begin, content_type=JSON, status=answer.status)
    else:
        pieces = _Pieces(begin, answer, held.pop_all())
        response = StreamingHttpResponse(pieces, content_type=JSON, status=answer.status)
        if length is not None:
            response["Content-Length"] = str(length)
    return _with_headers(response, answer)


def _length_of(answer: Answer) -> int | None:
    """Return how long a body is to be; None if that isn't told, or not by what ends the body."""
    length = str(answer.headers.get("Content-Length") or "")
    is_told = _LENGTH.fullmatch(length) and not answer.headers.get("Transfer-Encoding")
    return int(length) if is_told else None


def _begin_of(answer: Answer, host: Host, length: int | None, most: int) -> bytes:
    """Return the first bytes of a body; raise HostUnreachable if the host has announced more."""
    with reaching(host):
        begin = answer.read(most)
    if length is not None and len(begin) < min(length, most):
        raise HostUnreachable(f"Host '{host.name}' has closed the connection within its answer")
    return begin


def _with_headers(response: HttpResponseBase, answer: Answer) -> HttpResponseBase:
    for name, form in _BACK.items():
        value = str(answer.headers.get(name) or "")
        if form.fullmatch(value):
            response[name] = value
    return response


def _parsed(content: bytes, host: Host) -> Any:
    try:
        return orjson.loads(content)
    except ValueError:
        raise NotADaemon(f"The answer of host '{host.name}' can't be shown") from None


class _Pieces:
    """A long body, of which only a piece is in memory. Closing it frees the place of the request."""

    def __init__(self, begin: bytes, answer: Answer, held: ExitStack) -> None:
        self._begin, self._answer, self._held = begin, answer, held

    def __iter__(self) -> Iterator[bytes]:
        yield self._begin
        while piece := self._answer.read(_PIECE_BYTES):
            yield piece

    def close(self) -> None:
        self._answer.close()
        self._held.close()
