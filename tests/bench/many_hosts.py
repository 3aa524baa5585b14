"""What a hub costs, and how soon it knows: measured by hand, with simulated hosts and a real stack.

    python -m tests.bench.many_hosts --hosts 300 --programs 100 [--changes 30] [--samples 200]

With ``TEST_POSTGRES_URL`` and ``TEST_REDIS_URL`` (see `tests.servers`) the hub uses these.
"""

import argparse
import contextlib
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

import psutil
import requests

from tests import database
from tests.fleet import hubs
from tests.fleet.simulated_hosts import address
from tests.stack import PROJECT, Stack, free_port, temporary_stack

_ADD = """
from fleet import database
from fleet.models import Host
from tests.fleet.simulated_hosts import address
with database.atomic():
    for number in range({hosts}):
        host = Host(name=f"sim-{{number}}", labels={{"role": "sim"}})
        host.url = f"http://{{address(number)}}:{port}"
        host.token = "hdt_simulated"
        host.save()
"""
_ENSURE_FOLLOWED = "from fleet.following import part; part.ensure_running()"
_QUIET_SECONDS = 30  # in which CPU is measured
_PATIENCE = 600


@contextlib.contextmanager
def simulation(hosts: int, programs: int, changes: float) -> Iterator[int]:
    """Simulate hosts in a process of their own; yield their port."""
    port = free_port()
    options = {"--hosts": hosts, "--programs": programs, "--port": port, "--changes": changes}
    command = [sys.executable, "-m", "tests.fleet.simulated_hosts"]
    command += [str(part) for pair in options.items() for part in pair]
    process = subprocess.Popen(command, cwd=PROJECT, stdout=subprocess.PIPE)
    try:
        assert process.stdout is not None
        process.stdout.readline()  # it says when it is there
        yield port
    finally:
        process.kill()
        process.wait()


def until(check: Callable[[], bool], pause: float = 0.1) -> float:
    """Wait until something holds, and return the seconds that it took."""
    began = time.monotonic()
    while not check():
        if time.monotonic() - began > _PATIENCE:
            raise TimeoutError
        time.sleep(pause)
    return time.monotonic() - began


def current(hub: Stack, since: float = 0) -> int:
    """Return how many hosts are current, and were heard of after a time."""
    # As text: the engines tell times differently.
    after = time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(since))
    [row] = hubs.rows(
        hub,
        "SELECT COUNT(*) AS number FROM fleet_link WHERE state = 'current' AND heard_at > ?",
        after + database.UTC,
    )
    return int(row["number"])


def processes(hub: Stack) -> dict[str, psutil.Process]:
    """Return the stack's own processes by name."""
    found = {process: owner.process for process, owner in hub.owners().items()}
    return {name: process for process, name in found.items()} | {
        "supervisord": psutil.Process(hub.supervisord_pid)
    }


def megabytes(process: psutil.Process) -> float:
    """Return the memory of a process, with its share of what it shares."""
    return float(process.memory_full_info().pss) / 2**20


def usage(hub: Stack) -> dict[str, Any]:
    """Return the memory of the hub's processes, and the CPU that they use while no request comes."""
    own = processes(hub)
    before = {name: sum(process.cpu_times()[:2]) for name, process in own.items()}
    began = time.monotonic()
    time.sleep(_QUIET_SECONDS)
    seconds = time.monotonic() - began
    cpu = {
        name: round(100 * (sum(process.cpu_times()[:2]) - before[name]) / seconds, 1)
        for name, process in own.items()
        if process.is_running()
    }
    memory = {name: round(megabytes(process), 1) for name, process in own.items() if process.is_running()}
    return {
        "memory_mb": memory,
        "memory_mb_together": round(sum(memory.values()), 1),
        "cpu_percent": cpu,
        "cpu_percent_together": round(sum(cpu.values()), 1),
    }


def delays(hub: Stack, port: int, hosts: int, programs: int, samples: int) -> dict[str, float]:
    """Return how long it takes from a change on a host until the hub's row of the program has it."""
    sql = (
        "SELECT p.state FROM fleet_followedprogram p JOIN fleet_host h ON h.id = p.host_id"
        " WHERE h.name = ? AND p.program_id = ?"
    )
    url = f"http://{address(0)}:{port}/simulated/change"
    session, found = requests.Session(), []
    session.trust_env = False
    for number in range(samples):
        host, program, state = number * 7 % hosts, number * 11 % programs + 1, "stopping"
        body = {"host": host, "program_id": program, "state": state}  # which nothing else brings about
        began = time.monotonic()
        session.post(url, json=body, timeout=10).raise_for_status()

        def is_there(host: int = host, program: int = program, state: str = state) -> bool:
            rows = hubs.rows(hub, sql, f"sim-{host}", program)
            return bool(rows) and rows[0]["state"] == state

        until(is_there, 0.005)
        found.append(1000 * (time.monotonic() - began))
        session.post(url, json={**body, "state": "running"}, timeout=10).raise_for_status()
    return {"median_ms": round(statistics.median(found), 1), "p99_ms": round(percentile(found, 99), 1)}


def percentile(values: list[float], percent: int) -> float:
    """Return the value that so many of a hundred do not exceed."""
    return sorted(values)[min(len(values) * percent // 100, len(values) - 1)]


def answers(hub: Stack, route: str, samples: int) -> dict[str, float]:
    """Return how long a route takes to answer, over one connection."""
    found = []
    api = hub.api
    for _ in range(samples):
        began = time.monotonic()
        answer = api.get(route)
        found.append(1000 * (time.monotonic() - began))
        if answer.status_code != 200:
            return {"status": answer.status_code}
    return {"median_ms": round(statistics.median(found), 1), "p99_ms": round(percentile(found, 99), 1)}


def tell(name: str, value: Any) -> None:
    """Print a figure as soon as it is there."""
    print(f"{name}: {json.dumps(value)}", flush=True)


def measure(hosts: int, programs: int, changes: float, samples: int) -> None:
    """Print all figures of a hub with so many hosts."""
    with simulation(hosts, programs, changes) as port, temporary_stack() as hub:
        hub.start()
        time.sleep(12)  # until all parts have settled
        tell("before", usage(hub))
        hubs.run(hub, _ADD.format(hosts=hosts, port=port))
        hubs.run(hub, _ENSURE_FOLLOWED)
        tell("first_seconds", round(until(lambda: current(hub) == hosts), 1))
        [rows] = hubs.rows(hub, "SELECT COUNT(*) AS number FROM fleet_followedprogram")
        assert rows["number"] == hosts * programs
        time.sleep(30)
        tell("following", usage(hub))
        tell("delay", delays(hub, port, hosts, programs, samples))
        for route in ("fleet/programs?limit=100", "fleet/status", "fleet/events?limit=100"):
            tell(route, answers(hub, route, samples))
        assert hub.stop() == 0
        began = time.time()
        hub.start()
        tell("restart_start_seconds", round(time.time() - began, 1))
        until(lambda: current(hub, began + 1) == hosts)
        tell("restart_seconds", round(time.time() - began, 1))
        assert hub.stop() == 0


def main() -> None:
    """Parse the command line, and measure."""
    parser = argparse.ArgumentParser(description="Measure a hub with simulated hosts.")
    parser.add_argument("--hosts", type=int, default=300)
    parser.add_argument("--programs", type=int, default=100, help="Of each host.")
    parser.add_argument("--changes", type=float, default=30, help="State changes a second, over all hosts.")
    parser.add_argument("--samples", type=int, default=200)
    given = parser.parse_args()
    measure(given.hosts, given.programs, given.changes, given.samples)


if __name__ == "__main__":
    main()
