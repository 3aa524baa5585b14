"""Requests to the API over connections that are kept open, and live streams, resumed when they are lost."""

import contextlib
import json
import threading
import time
from collections.abc import Callable, Iterator
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection
from typing import Any, NamedTuple, TypeVar
from urllib.parse import quote, urlencode, urlsplit

from daemonctl.contexts import Target
from daemonctl.problems import Absent, Lost, Problem, Refused, Unreachable

_PATH = "/api/v1/daemon/"
_CONNECT_SECONDS = 10
# A call may wait 300 seconds for a start, or as long as a grace period for a stop.
_ANSWER_SECONDS = 330
# A stream has a comment every 15 seconds. One that is silent for longer is lost, without any notice.
_SILENCE_SECONDS = 40
_PAUSE_SECONDS = 1.0  # before the next attempt to connect


Answer = TypeVar("Answer")


class StreamEvent(NamedTuple):
    """An event of a stream."""

    name: str
    data: dict[str, Any]


class Client:
    """The API of one daemon. Threads may share it: each has a connection of its own."""

    def __init__(self, target: Target) -> None:
        parts = urlsplit(target.url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise Problem(f"'{target.url}' is not an address such as https://daemon.example.com")
        self.url = target.url
        self._parts = parts
        self._path = _PATH + (f"hosts/{quote(target.host, safe='')}{_PATH}" if target.host else "")
        self._target = target
        self._own = threading.local()

    def get(self, route: str, **query: Any) -> dict[str, Any]:
        """Return the answer of a GET. A connection that was closed meanwhile is opened again once."""
        kept = getattr(self._own, "connection", None)
        if kept is not None:
            with contextlib.suppress(OSError, HTTPException):
                return _answer(self._send(kept, "GET", route, query))
        self._own.connection = None
        with self._reaching():
            connection = self._connect()
            answer = _answer(self._send(connection, "GET", route, query))
        self._own.connection = connection
        return answer

    def post(self, route: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        """Return the answer of a POST, which is sent once only.

        Raise Lost instead of another Unreachable if it may have arrived.
        """
        with self._reaching():
            connection = self._connect()
        with contextlib.closing(connection):
            try:
                return _answer(self._send(connection, "POST", route, {}, json.dumps(body or {})))
            except (OSError, HTTPException) as problem:
                raise Lost(self._unreachable(problem).message) from None

    def stream(
        self,
        route: str,
        query: dict[str, Any],
        *,
        after: str | None = None,
        report: Callable[[str], None] = lambda sentence: None,
        stopped: threading.Event | None = None,
    ) -> Iterator[StreamEvent]:
        """Yield the events of a stream until `end`. After a lost connection continue where it was.

        Raise Unreachable only if the first connection fails; ``report`` is told of the others. Raise Refused
        or Absent if the API refuses the stream.
        """
        stopped = stopped or threading.Event()
        was_open = False
        while not stopped.is_set():
            try:
                with contextlib.closing(self._connect(_SILENCE_SECONDS)) as connection:
                    head = {"Last-Event-ID": after} if after is not None else {}
                    response = self._send(connection, "GET", route, query, headers=head)
                    if response.status != 200:
                        _answer(response)
                    was_open = True
                    for id, event in _events(response):
                        after = id or after
                        if event is not None:
                            yield event
                        if event is not None and event.name == "end":
                            return
            except Refused as problem:
                if not was_open or problem.status not in (429, 502, 503, 504):
                    raise
            except (OSError, HTTPException) as problem:
                if not was_open:
                    raise self._unreachable(problem) from None
            report("The connection was lost, trying again...")
            stopped.wait(_PAUSE_SECONDS)

    def _connect(self, patience: float = _ANSWER_SECONDS) -> HTTPConnection:
        """Return a connection whose answers may take as long as ``patience`` seconds."""
        host, port = self._parts.hostname or "", self._parts.port
        connection: HTTPConnection
        if self._parts.scheme == "https":
            import ssl

            trusted = ssl.create_default_context(cafile=self._target.ca_file)
            connection = HTTPSConnection(host, port, timeout=_CONNECT_SECONDS, context=trusted)
        else:
            connection = HTTPConnection(host, port, timeout=_CONNECT_SECONDS)
        connection.connect()
        connection.sock.settimeout(patience)
        return connection

    def _send(
        self,
        connection: HTTPConnection,
        method: str,
        route: str,
        query: dict[str, Any],
        body: str | None = None,
        headers: dict[str, str] | None = None,
    ) -> HTTPResponse:
        """Send a request, and return its response, whose body is not read yet."""
        texts = {key: str(value).lower() if value is True else value for key, value in query.items()}
        address = f"{self._parts.path.rstrip('/')}{self._path}{route}" + (
            f"?{urlencode(texts, doseq=True)}" if texts else ""
        )
        given = {"Authorization": f"Bearer {self._target.token}", **(headers or {})}
        if body is not None:
            given["Content-Type"] = "application/json"
        connection.request(method, address, body, given)
        return connection.getresponse()

    @contextlib.contextmanager
    def _reaching(self) -> Iterator[None]:
        try:
            yield
        except (OSError, HTTPException) as problem:
            raise self._unreachable(problem) from None

    def _unreachable(self, problem: Exception) -> Unreachable:
        return Unreachable(f"The daemon at {self.url} can't be reached: {problem or type(problem).__name__}")


def insist(call: Callable[[], Answer]) -> Answer:
    """Call until the daemon can be reached."""
    while True:
        try:
            return call()
        except Unreachable:
            time.sleep(_PAUSE_SECONDS)


def _answer(response: HTTPResponse) -> dict[str, Any]:
    """Return the body of a response; raise the API's sentence if it is an error."""
    text = response.read()
    try:
        document = json.loads(text)
        sentence = "" if response.status == 200 else str(document["error"])
    except (ValueError, KeyError, TypeError):
        raise Refused(f"What answers is not the API of a daemon (HTTP {response.status})") from None
    if response.status == 404:
        raise Absent(sentence)
    if response.status != 200:
        problem = Refused(sentence)
        problem.status, problem.details = response.status, document
        raise problem
    return document


def _events(response: HTTPResponse) -> Iterator[tuple[str | None, StreamEvent | None]]:
    """Yield the id of each block of a stream, with its event if it has one."""
    fields: dict[str, str] = {}
    while line := response.readline():
        text = line.decode().rstrip("\n")
        if text:
            name, _, value = text.partition(": ")
            fields[name] = value
        elif fields:
            event = StreamEvent(fields["event"], json.loads(fields["data"])) if "data" in fields else None
            yield fields.get("id"), event
            fields = {}
