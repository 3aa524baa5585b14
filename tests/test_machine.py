"""GET machine: the version of the daemon, and the size and load of its machine."""

import os

import psutil
import pytest

from daemon_programs.programs.observed import machine
from hoody_daemon import __version__
from tests.stack import Api


def test_figures_are_those_of_the_kernel(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "getloadavg", lambda: (0.623, 1.0, 2.0))
    found = machine.describe()
    memory = psutil.virtual_memory()
    assert found["cpus"] == len(psutil.Process().cpu_affinity() or [])
    assert found["load_1m"] == 0.62
    assert found["memory_total_bytes"] == memory.total
    assert 0 < found["memory_available_bytes"] <= memory.total


def test_route_tells_the_version_and_the_machine(api: Api) -> None:
    answer = api.get("machine").json()
    assert (answer["success"], answer["version"]) == (True, __version__)
    assert answer["machine"].keys() == machine.describe().keys()
    assert api.get("machine", verbose="true").status_code == 400
