"""What hosts have told, written into the tables as the follower would, without any host."""

from datetime import UTC, datetime, timedelta
from typing import Any

from fleet.models import FollowedEvent, FollowedProgram, Host, HostUsage, Link

STATUS = {"status": "running"}


def add_host(name: str, *, state: str = "current", age: float = 1.0, **fields: Any) -> Host:
    """Add a host that was heard of ``age`` seconds ago; its token can't be read."""
    link = {key: fields.pop(key) for key in ("error", "version", "machine", "since") if key in fields}
    host = Host.objects.create(
        **{"name": name, "url": "http://127.0.0.1:1", "sealed_token": "none", **fields}
    )
    heard_at = datetime.now(UTC) - timedelta(seconds=age)
    Link.objects.create(host=host, state=state, heard_at=heard_at, **link)
    return host


def add_program(host: Host, id: int, name: str = "web", state: str = "running", **fields: Any) -> None:
    """Add a program of a host; what its document has besides is in ``document``."""
    document = {
        "id": id,
        "name": name,
        "command": "sleep 1",
        "description": "",
        **fields.pop("document", {}),
        "status": {"id": id, "status": state},
    }
    fields.setdefault("labels", {})
    FollowedProgram.objects.create(
        host=host, program_id=id, name=name, state=state, enabled=True, document=document, **fields
    )


def add_event(host: Host, number: int, state: str = "exited", *, age: float = 1.0, **fields: Any) -> int:
    """Add an event of a host; return the hub's id of it."""
    at = datetime.now(UTC) - timedelta(seconds=age)
    document = {
        "id": number,
        "at": at.isoformat(),
        "name": "web",
        "program_id": 1,
        "from_state": "running",
        "state": state,
        "by": "supervisord",
        "gap": False,
    }
    event = FollowedEvent.objects.create(
        host=host, number=number, at=at, name="web", program_id=1, state=state, document=document, **fields
    )
    return event.pk


def add_usage(host: Host, *, minutes_ago: int, cpu_percent: float = 5.0, memory_bytes: int = 1000) -> None:
    """Add a minute of a host's usage."""
    minute = datetime.now(UTC).replace(second=0, microsecond=0) - timedelta(minutes=minutes_ago)
    HostUsage.objects.create(host=host, minute=minute, cpu_percent=cpu_percent, memory_bytes=memory_bytes)
