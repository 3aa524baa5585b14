"""Hosts of which a hub knows what a test wants it to, and which no follower changes."""

import json
from typing import Any

from tests.fleet import hubs
from tests.stack import Stack

_ADD = """
import json
from datetime import timedelta
from django.utils import timezone
from fleet import database
from fleet.models import Host, Link
now = timezone.now()
with database.atomic():
    for name, given in json.loads({text!r}).items():
        host = Host(name=name, url=given["url"], labels=given["labels"])
        host.token = given["token"]
        host.save()
        if given["state"] != "new":
            Link.objects.update_or_create(host=host, defaults=dict(
                state=given["state"], machine=given["machine"],
                heard_at=now + timedelta(seconds=given["heard"]),
                holder="test", held_until=now + timedelta(hours=1)))
"""


def add_held_hosts(hub: Stack, hosts: dict[str, dict[str, Any]]) -> None:
    """Add hosts by their names. What is not given is that of the hub itself, which is current for an hour."""
    own = {"url": hub.url, "token": hub.token, "labels": {}, "state": "current", "machine": {}, "heard": 3600}
    given = {name: {**own, **values} for name, values in hosts.items()}
    hubs.run(hub, _ADD.format(text=json.dumps(given)))
