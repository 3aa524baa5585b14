"""Programs with webhooks, and their deliveries."""

from itertools import pairwise
from typing import Any

from tests import database
from tests.stack import Api, Stack, eventually
from tests.webhook_receivers import Receiver

LONG_RUNNING = "sleep 1000"


def add(
    api: Api, *urls: str, command: str = LONG_RUNNING, fields: dict[str, Any] | None = None, **block: Any
) -> int:
    """Add a program with webhooks for its starts, one event each, unless the block says otherwise."""
    block = {"urls": list(urls), "events": "STARTING", **block}
    return api.add(command, webhooks=block, **(fields or {}))


def start(api: Api, id: int) -> None:
    """Cause one event of a program that `add` has added. A restart joins one that is under way."""
    api.ok(f"programs/{id}/restart")
    eventually(lambda: api.word(id) != "stopping", what="it is started")


def deliveries(api: Api, id: int, **query: Any) -> list[dict[str, Any]]:
    """Return the deliveries of a program, oldest first."""
    answer = api.get(f"programs/{id}/deliveries", **{"limit": 1000, **query})
    assert answer.status_code == 200, answer.text
    return list(reversed(answer.json()["deliveries"]))


def settled(api: Api, id: int, number: int = 1, timeout: float = 30.0) -> list[dict[str, Any]]:
    """Return the deliveries of a program, once there are at least ``number`` and none is pending."""

    def look() -> list[dict[str, Any]] | None:
        found = deliveries(api, id)
        is_done = len(found) >= number and all(each["state"] != "pending" for each in found)
        return found if is_done else None

    return eventually(look, timeout, f"{number} deliveries are done")  # type: ignore[no-any-return]


def new_secret(api: Api, id: int) -> str:
    return str(api.ok(f"programs/{id}/webhooks/rotate-secret")["secret"])


def gaps(receiver: Receiver) -> list[float]:
    """The seconds between the requests."""
    times = [each.at for each in receiver.received]
    return [later - earlier for earlier, later in pairwise(times)]


def run(stack: Stack, script: str) -> str:
    """Run a script in the project, with the stack's database, and return its output."""
    done = stack.manage("shell", "-v", "0", "--no-imports", "-c", script)
    assert done.returncode == 0, done.stderr
    return done.stdout


def rows(stack: Stack, query: str) -> list[tuple[Any, ...]]:
    """Return rows of the stack's database."""
    with database.opened(stack.folder) as opened:
        return opened.execute(query).fetchall()  # type: ignore[no-any-return]


def export(stack: Stack) -> str:
    """Return the output of ``export_programs``."""
    done = stack.manage("export_programs")
    assert done.returncode == 0, done.stderr
    return done.stdout
