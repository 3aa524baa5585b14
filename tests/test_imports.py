"""What each process of the stack must not import: it would cost memory, and time at each start."""

import json
import os

import pytest

from tests import database
from tests.stack import eventually, temporary_stack

DJANGO = ("django", "environs", "daemon_programs.models", "hoody_site.settings")
WEB = ("rest_framework.views", "drf_spectacular.openapi", "gunicorn", "whitenoise", "yaml", "hoody_site.urls")
SERVERS = ("psycopg.pq", "psycopg_pool", "redis", "dj_database_url")  # other engines than the embedded ones
HOSTS = ("aiohttp", "cryptography", "fleet.client", "fleet.following.follower")  # of those that a hub has
SELDOM = ("supervisor.xmlrpc", "urllib3")  # for faults of supervisord, and for deliveries
LARGE = ("asyncio", "prometheus_client", "psutil", "sqlite3")
# The processes: what their command line holds, and modules and packages that they have no use for.
UNUSED = {
    "supervisord": ("daemon_programs.supervisor.foreground", (*DJANGO, *WEB, *LARGE)),
    "prober": ("daemon_programs.supervisor.prober", (*DJANGO, *WEB, *LARGE[1:], "supervisor")),
    "listener": (
        "listen_events",
        (
            *WEB,
            *SERVERS,
            *HOSTS,
            *SELDOM[1:],
            *LARGE[1:3],
            "daemon_programs.webhooks.request",
            "django_q.cluster",
        ),
    ),
    "scheduler": (
        "run_queue",
        (
            *WEB,
            *SERVERS,
            *HOSTS,
            *SELDOM,
            *LARGE[1:3],
            "daemon_programs.history.recorder",
            "supervisor.options",
        ),
    ),
    "api master": (
        "gunicorn",
        ("django.db.models", "django_q", "rest_framework", "supervisor.options", *LARGE[1:]),
    ),
    "api worker": (
        "gunicorn",
        (
            "daemon_programs.webhooks.request",
            "django_q.cluster",
            "supervisor.options",
            *SERVERS,
            *HOSTS,
            *SELDOM,
            "requests.sessions",
        ),
    ),
}
# Python runs this in each process before anything else.
CUSTOMIZE = """
import atexit, json, os, sys

def write():
    with open(os.path.join({folder!r}, f"{{os.getpid()}}.json"), "w") as file:
        json.dump({{"command": sys.orig_argv, "modules": list(sys.modules)}}, file)

atexit.register(write)
"""


@pytest.fixture(scope="module")
def modules(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[str]]:
    """What each process of a stack has imported when it ends."""
    folder = tmp_path_factory.mktemp("modules")
    (folder / "sitecustomize.py").write_text(CUSTOMIZE.format(folder=str(folder)))
    with temporary_stack(PYTHONPATH=str(folder)) as stack:
        stack.start()
        eventually(lambda: stack.api.get("ready").ok, 60)
        assert stack.stop() == 0
    found = {}
    for file in folder.glob("*.json"):
        process = json.loads(file.read_text())
        for name, (word, _) in UNUSED.items():
            is_worker = "hoody_site.wsgi" in process["modules"]
            if word in process["command"] and is_worker == name.endswith("worker"):
                found[name] = process["modules"]
    return found


@database.on_embedded
@pytest.mark.skipif("COVERAGE_FOLDER" in os.environ, reason="what measures imports modules itself")
@pytest.mark.parametrize("name", UNUSED)
def test_process_imports_nothing_that_it_has_no_use_for(modules: dict[str, list[str]], name: str) -> None:
    _, unused = UNUSED[name]
    assert "sitecustomize" in modules[name]
    found = [each for each in modules[name] if any(f"{each}.".startswith(f"{one}.") for one in unused)]
    assert found == []
