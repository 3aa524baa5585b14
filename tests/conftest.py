"""Fixtures. Django's settings use a state folder of the tests, so that no installation is touched."""

import atexit
import gc
import os
import secrets
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from tests import database
from tests.reaper import reaper

for name in [name for name in os.environ if name.startswith("DAEMON_")]:
    del os.environ[name]
# Hundreds of processes are started: each would compile all modules again.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False
_state = Path(tempfile.gettempdir(), f"daemon-unit-{secrets.token_hex(4)}")
reaper.remember(_state)
_state.mkdir(mode=0o700)
atexit.register(shutil.rmtree, _state, ignore_errors=True)
os.environ["DAEMON_STATE_DIR"] = str(_state)
os.environ.update(database.environment_of(_state))  # pytest-django makes a database beside that
# The host of Django's test client: sessions are not valid under each name.
os.environ["DAEMON_ALLOWED_HOSTS"] = "testserver"
# Here and not in pyproject.toml: pytest-django would read the settings before this file is.
os.environ["DJANGO_SETTINGS_MODULE"] = "hoody_site.settings"

import django  # noqa: E402
import pytest  # noqa: E402

django.setup()

from tests import marks  # noqa: E402
from tests.admin_client import AdminClient, create_users  # noqa: E402
from tests.simulated_process import Simulate, Simulation  # noqa: E402
from tests.stack import Api, Stack, temporary_stack  # noqa: E402
from tests.temporary_programs import Quick  # noqa: E402
from tests.webhook_receivers import Receiver, Trust  # noqa: E402


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_collection() -> Iterator[None]:
    """Look for no garbage in what stays until the end."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> Iterator[None]:
    marks.mark(items)  # before `-m` chooses by it
    yield
    marks.sort(items)  # after others have put them in their order


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    with marks.only_as_marked(item):
        return (yield)


@pytest.fixture(scope="session", autouse=True)
def no_background_writes() -> Iterator[None]:
    """Keep the thread that records the use of tokens from writing into the database of another test."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("hoody_site.access.uses.Uses._run", lambda self: None)
        yield


@pytest.fixture(scope="session", autouse=True)
def end_what_is_left(tmp_path_factory: pytest.TempPathFactory) -> None:
    """End stacks in the temporary folders of tests with pytest, even one that should not have started."""
    reaper.watch(tmp_path_factory.getbasetemp())


@pytest.fixture(scope="session")
def stack() -> Iterator[Stack]:
    """One running stack for all tests that leave it as they found it."""
    with temporary_stack(is_set_up=False) as running:
        running.start()
        yield running
        sizes = {log: log.stat().st_size for log in (running.folder / "stack-logs").glob("*.log")}
        code = running.stop()
        left = running.processes()
        assert code == 0, running.output.read_text()[-2000:]
        for log, size in sizes.items():
            said = log.read_bytes()[size:].decode(errors="replace")  # at its end; none if it was rotated
            assert "Traceback" not in said, f"{log.name}: {said}"
        assert left == [], "something of the stack is left behind"


@pytest.fixture
def api(stack: Stack) -> Iterator[Api]:
    """The administrator's client. Programs that the test has added are removed after it."""
    client = stack.api
    before = {program["id"] for program in client.get("programs").json()["programs"]}
    yield client
    for program in client.get("programs").json()["programs"]:
        if program["id"] not in before:
            client.ok(f"programs/remove/{program['id']}")


# Not for the whole session: tests of other files may end sessions, and change users.
@pytest.fixture(scope="module")
def staffed(stack: Stack) -> Stack:
    """The running stack, with users (`tests.admin_client`)."""
    create_users(stack)
    return stack


@pytest.fixture(scope="module")
def boss(staffed: Stack) -> AdminClient:
    """The admin, as a user with all permissions sees it."""
    return AdminClient(staffed)


@pytest.fixture
def quick(stack: Stack) -> Iterator[Quick]:
    """The administrator's client of quick start. What the test has launched is stopped after it."""
    with Quick(stack) as client:
        yield client


@pytest.fixture(scope="session")
def trust(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Trust]:
    """The certificates that receivers of webhooks and the stacks that deliver to them share."""
    with Receiver() as proxy:
        yield Trust(tmp_path_factory.mktemp("trust"), proxy)


# Not for the whole session: few files need it, and a stack costs the processor something all the time.
@pytest.fixture(scope="module")
def hooked(trust: Trust) -> Iterator[Stack]:
    """A running stack that delivers webhooks to this host."""
    with temporary_stack(**trust.environment) as running:
        yield running.start()


@pytest.fixture
def receiver(trust: Trust) -> Iterator[Receiver]:
    """A receiver of webhooks that the stack trusts."""
    with trust.receiver() as server:
        yield server


@pytest.fixture
def own_stack() -> Iterator[Stack]:
    """A stack of the test's own, not started yet, for what would disturb others."""
    with temporary_stack() as stack:
        yield stack


@pytest.fixture
def simulate(monkeypatch: pytest.MonkeyPatch) -> Simulate:
    """Return a function that makes a process with a clock of its own and without a child."""
    return lambda **config: Simulation(monkeypatch, **config)
