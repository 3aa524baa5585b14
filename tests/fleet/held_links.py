"""Links to hosts as a test wants them, which no follower changes."""

import json
from collections.abc import Mapping
from typing import Any

from tests.fleet import hubs
from tests.stack import Stack

_HOLD = """
import json
from datetime import timedelta
from django.utils import timezone
from fleet import database
from fleet.models import Host, Link
given, now = json.loads({text!r}), timezone.now()
with database.atomic():
    Link.objects.update_or_create(host=Host.objects.get(name=given["name"]), defaults=dict(
        state=given["state"], machine=given["machine"], heard_at=now + timedelta(seconds=given["heard"]),
        holder="test", held_until=now + timedelta(hours=1)))
"""


def hold_link(
    hub: Stack,
    name: str,
    *,
    state: str = "current",
    heard: float = 3600,
    machine: Mapping[str, Any] | None = None,
) -> None:
    """Have a hub know a host like this, as of ``heard`` seconds from now, and no follower change it."""
    given = {"name": name, "state": state, "heard": heard, "machine": dict(machine or {})}
    hubs.run(hub, _HOLD.format(text=json.dumps(given)))
