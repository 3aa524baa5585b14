"""What the pictures show: programs as a small shop would have them, in many states."""

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.stack import OWN_USER, Api, Stack, free_port

_SHOP = Path(__file__).parent / "shop"


def administrator(stack: Stack) -> tuple[str, str]:
    """Create the user that the pictures show, and return name and password."""
    name, password = "ada", secrets.token_urlsafe()
    script = (
        "from django.contrib.auth.models import User\n"
        f"User.objects.create_superuser({name!r}, password={password!r})"
    )
    done = stack.manage("shell", "--no-imports", "-c", script)
    assert done.returncode == 0, done.stderr
    return name, password


@contextmanager
def programs(api: Api) -> Iterator[dict[str, int]]:
    """Run the scene, and yield the ids of its programs by name."""
    for program in api.get("programs").json()["programs"]:
        api.ok(f"programs/remove/{program['id']}")

    def add(name: str, command: str, **fields: Any) -> int:
        fields = {"boot": True, "directory": str(_SHOP), **fields}
        return api.add(f"python3 {command}", name=name, user=OWN_USER, **fields)

    web, payments, shop = free_port(), free_port(), {"labels": {"team": "shop"}}
    probe = {"http": f"http://127.0.0.1:{payments}/health", "interval": 2, "failures": 2}
    ids = {
        "web": add(
            "web", f"serve.py {web} healthy 60", description="The shop's pages", ready_port=web, **shop
        ),
        "payments": add("payments", f"serve.py {payments} unhealthy 35", health=probe, **shop),
        "mail-workers": add(
            "mail-workers", "mail.py", port_range={"start": 8100, "end": 8105}, labels={"team": "mail"}
        ),
        "stock-sync": add("stock-sync", "sync.py", restart_delay_max_seconds=1, start_retries=10_000),
        "search-index": add("search-index", "index.py", start_retries=0),
        "newsletter": add("newsletter", "newsletter.py", boot=False, enabled=False),
        "migrate": add("migrate", "-c 'print(1)'", autorestart="false"),
        "legacy-export": add("legacy-export", "-V", autorestart="false", boot=False),
    }
    for port in (8100, 8101, 8102, 8104):
        api.ok(f"programs/{ids['mail-workers']}/start", {"port": port})
    for command, ttl in ((f"python3 {_SHOP}/resize.py", 600), ("sleep 1000", 3600)):
        api.ok("quick-start", {"command": command, "user": OWN_USER, "ttl": ttl})
    yield ids
