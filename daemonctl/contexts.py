"""Find the daemon to speak to: named contexts, the environment, or the stack of this host.

A token is only ever read from a file or from the environment of CI, and goes only to the daemon it is for.
"""

import json
import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from daemonctl.problems import Absent, Problem, Unreachable
from hoody_daemon import installation

LOCAL = "local"  # the reserved name of the stack of this host
_DEFAULT_URL = "http://127.0.0.1:8000"


@dataclass(frozen=True)
class Target:
    """A daemon: its address, and the token that it accepts; with ``host`` a host that it is the hub of."""

    url: str
    token: str
    ca_file: str | None = None
    host: str = ""

    def __repr__(self) -> str:
        return f"Target({self.url!r})"  # no traceback shows the token


def find(name: str | None, host: str | None = None) -> Target:
    """Return the daemon of a context; without a name the one of the environment, in use, or of this host.

    Without ``host`` it is the host of the environment, or of the context; if it is empty, the daemon itself.
    """
    target = _find(name)
    if host is None:
        host = host_of(name)
    return replace(target, host=host)


def host_of(name: str | None) -> str:
    """Return the host that is meant if the command line names none; an empty text for the daemon itself."""
    if name is None:
        if host := os.environ.get("DAEMONCTL_HOST"):
            return host
        if os.environ.get("DAEMONCTL_URL"):
            return ""
    contexts = Contexts.read()
    return str(contexts.all.get(name or contexts.current, {}).get("host", ""))


def _find(name: str | None) -> Target:
    if name is None and (url := os.environ.get("DAEMONCTL_URL")):
        return Target(url, _token_of_environment(), os.environ.get("DAEMONCTL_CA_FILE") or None)
    contexts = Contexts.read()
    name = name or contexts.current
    if name == LOCAL:
        return _local()
    context = contexts.get(name)
    return Target(context["url"], _read_token(Path(context["token_file"])), context.get("ca_file"))


def _token_of_environment() -> str:
    if token := os.environ.get("DAEMONCTL_TOKEN"):
        return token
    if file := os.environ.get("DAEMONCTL_TOKEN_FILE"):
        return _read_token(Path(file))
    raise Problem("DAEMONCTL_URL needs DAEMONCTL_TOKEN or DAEMONCTL_TOKEN_FILE")


def _read_token(file: Path) -> str:
    try:
        token = file.read_text().strip()
    except (OSError, ValueError) as problem:
        raise Problem(f"The token can't be read: {problem}") from None
    if not token.isascii() or not token.isprintable() or not token:
        raise Problem(f"{file} does not hold a token")
    return token


def _local() -> Target:
    folder = Path(os.environ.get("DAEMON_STATE_DIR") or installation.default_state_folder())
    file = folder / "api-token"
    if not file.parent.is_dir():
        raise Unreachable(f"There is no stack in {folder}: start it, or name another: daemonctl context add")
    return Target(_bound_url() or _running_url(folder) or _DEFAULT_URL, _read_token(file))


def _bound_url() -> str | None:
    bound = os.environ.get("DAEMON_BIND")
    if not bound:
        return None
    host, _, port = bound.rpartition(":")
    everywhere = host in ("0.0.0.0", "[::]")  # noqa: S104
    return f"http://{'127.0.0.1' if everywhere else host}:{port}"


def _running_url(folder: Path) -> str | None:
    """Return the address that the stack was last started with, as its configuration of supervisord has it."""
    try:
        lines = (folder / "supervisord.conf").read_text().splitlines()
    except (OSError, ValueError):
        return None
    return next((line.removeprefix("url=") for line in lines if line.startswith("url=http")), None)


class Contexts:
    """The named daemons of this user, in a file that only the user can read."""

    def __init__(self, contexts: dict[str, dict[str, Any]], current: str) -> None:
        self.all = contexts
        self.current = current

    @classmethod
    def read(cls) -> "Contexts":
        """Return what the file holds; nothing if there is none."""
        try:
            document = json.loads(_file().read_text())
            return cls(dict(document["contexts"]), str(document["current"]))
        except FileNotFoundError:
            return cls({}, LOCAL)
        except (OSError, ValueError, KeyError, TypeError) as problem:
            raise Problem(f"{_file()} can't be read: {problem}") from None

    def get(self, name: str) -> dict[str, Any]:
        """Return a context; raise Absent if there is none of that name."""
        if name not in self.all:
            raise Absent(f"There is no context '{name}'")
        return self.all[name]

    def add(self, name: str, url: str, token_file: Path, ca_file: Path | None, host: str | None) -> None:
        """Add a context, or replace it. The first one is used at once."""
        if not self.all and self.current == LOCAL:
            self.current = name
        self.all[name] = {"url": url, "token_file": str(token_file.absolute())}
        if ca_file:
            self.all[name]["ca_file"] = str(ca_file.absolute())
        if host:
            self.all[name]["host"] = host

    def use(self, name: str) -> None:
        """Use a context from now on."""
        if name != LOCAL:
            self.get(name)
        self.current = name

    def remove(self, name: str) -> None:
        """Remove a context; if it was in use, the stack of this host is used again."""
        self.get(name)
        del self.all[name]
        if self.current == name:
            self.current = LOCAL

    def write(self) -> None:
        """Replace the file, so that it is never half written."""
        file = _file()
        try:
            file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            draft = file.with_suffix(f".{os.getpid()}.tmp")
            with open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as output:
                json.dump({"current": self.current, "contexts": self.all}, output, indent=2)
            draft.replace(file)
        except OSError as problem:
            raise Problem(f"The contexts can't be stored: {problem}") from None


def _file() -> Path:
    home = os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config"
    return Path(home) / "daemonctl" / "contexts.json"
