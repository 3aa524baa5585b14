"""The umask, the priority and the limits of a process, read back from ``/proc``."""

import json
import os
import re
import resource
import subprocess
from dataclasses import asdict
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from daemon_programs.supervisor import spec
from daemon_programs.supervisor.plugin.programs import configuration
from daemon_programs.supervisor.processes import resources
from tests.processes import LONG_RUNNING, is_root, shell, started
from tests.stack import OTHER_USER, OWN_USER, Api, Stack
from tests.temporary_programs import Quick

needs_root = pytest.mark.skipif(not is_root(), reason="it takes root")

# The kernel's names in /proc/<pid>/limits.
NAMES = {
    "nofile": "Max open files",
    "nproc": "Max processes",
    "core": "Max core file size",
    "as": "Max address space",
    "cpu": "Max cpu time",
    "fsize": "Max file size",
    "stack": "Max stack size",
    "memlock": "Max locked memory",
}
LIMITS: dict[str, int | str] = {
    "nofile": 123,
    "nproc": 4567,
    "core": 0,
    "as": 2**33,
    "cpu": 1234,
    "fsize": 10_000_000,
    "stack": 4_194_304,
    "memlock": 65_536,
}


def limits_of(pid: int) -> dict[str, tuple[str, str]]:
    """The soft and the hard limits of a process, by our names."""
    text = Path(f"/proc/{pid}/limits").read_text()
    return {
        name: (re.search(rf"^{words} +(\w+) +(\w+)", text, re.M) or [""]).groups()  # type: ignore[union-attr,misc]
        for name, words in NAMES.items()
    }


def status_of(pid: int, key: str) -> str:
    found = re.search(rf"^{key}:\s*(.*)$", Path(f"/proc/{pid}/status").read_text(), re.M)
    assert found
    return found[1]


def nice_of(pid: int) -> int:
    return os.getpriority(os.PRIO_PROCESS, pid)


@pytest.mark.parametrize("user", [OWN_USER, pytest.param(OTHER_USER, marks=needs_root)])
def test_process_has_the_limits(api: Api, user: str) -> None:
    pid = started(api, api.add(LONG_RUNNING, user=user, directory="/", limits=LIMITS))
    assert limits_of(pid) == {name: (str(value), str(value)) for name, value in LIMITS.items()}


def test_other_limits_are_as_without_any(api: Api) -> None:
    plain = limits_of(started(api, api.add(LONG_RUNNING)))
    limited = limits_of(started(api, api.add(LONG_RUNNING, limits={"core": 4096})))
    assert limited == {**plain, "core": ("4096", "4096")}


def test_unlimited_is_no_limit(api: Api) -> None:
    if resource.getrlimit(resource.RLIMIT_CORE)[1] != resource.RLIM_INFINITY:
        pytest.skip("there is a limit here")
    pid = started(api, api.add(LONG_RUNNING, limits={"core": "unlimited"}))
    assert limits_of(pid)["core"] == ("unlimited", "unlimited")


@needs_root
def test_root_gives_a_program_of_another_user_more_than_it_has(own_stack: Stack) -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_MEMLOCK)
    if hard == resource.RLIM_INFINITY:
        pytest.skip("there is no limit here")
    if subprocess.run(["prlimit", f"--memlock={hard * 2}:{hard * 2}", "true"]).returncode:
        pytest.skip("root may not raise limits here")
    own_stack.prefix = ["prlimit", f"--memlock={hard}:{hard}"]
    api = own_stack.start().api
    pid = started(api, api.add(LONG_RUNNING, user=OTHER_USER, directory="/", limits={"memlock": hard * 2}))
    assert limits_of(pid)["memlock"] == (str(hard * 2), str(hard * 2))


def test_limit_above_what_is_allowed_fails_the_start(api: Api) -> None:
    """Not even root may have more open files than the kernel allows any process."""
    most = int(Path("/proc/sys/fs/nr_open").read_text())
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    for value in (most + 1, "unlimited"):
        id = api.add(LONG_RUNNING, limits={"nofile": value})
        refusal = api.refused(f"programs/{id}/start", {"wait": True})
        assert refusal.endswith(f"the limit 'nofile' can't be raised to {value}: {hard} is the highest")
        assert api.word(id) == "fatal"


def test_limit_is_raised_only_with_privilege(own_stack: Stack) -> None:
    own_stack.prefix = ["prlimit", "--core=1000:5000"]
    if os.geteuid() == 0:  # without the one privilege that raising takes
        own_stack.prefix += ["setpriv", "--inh-caps=-sys_resource", "--bounding-set=-sys_resource"]
    api = own_stack.start().api
    id = api.add(LONG_RUNNING, limits={"core": 5001})
    refusal = api.refused(f"programs/{id}/start", {"wait": True})
    assert refusal.endswith("the limit 'core' can't be raised to 5001: 5000 is the highest")
    api.ok(f"programs/edit/{id}", {"limits": {"core": 5000}})
    assert limits_of(started(api, id))["core"] == ("5000", "5000")


def test_memory_too_small_for_anything_ends_the_program_and_nothing_else(api: Api, stack: Stack) -> None:
    """What can't even be exec'ed is reported, or killed by the kernel."""
    pid = stack.supervisord_pid
    for limits in ({"as": 0}, {"stack": 0}, {"as": 100_000, "stack": 4096, "nofile": 0}):
        id = api.add(LONG_RUNNING, autorestart="false", limits=limits)
        api.ok(f"programs/{id}/start")
        api.until(id, "exited", "fatal")
    assert stack.supervisord_pid == pid
    assert api.get("health").ok


def test_limit_is_the_programs_own_to_feel(api: Api, tmp_path: Path) -> None:
    target = tmp_path / "big"
    write = f"exec head -c 3000 /dev/zero > {target}"
    id = api.add(shell(write), autorestart="false", limits={"fsize": 1000})
    api.ok(f"programs/{id}/start")
    api.until(id, "exited")
    assert api.status(id)["last_run"]["signal"] == "SIGXFSZ"
    assert target.stat().st_size == 1000


# umask


@pytest.mark.parametrize(
    ("fields", "mode"), [({}, 0o644), ({"umask": "077"}, 0o600), ({"umask": "002"}, 0o664)]
)
def test_files_of_a_program_have_the_permissions_that_its_umask_leaves(
    api: Api, tmp_path: Path, fields: dict[str, str], mode: int
) -> None:
    made = tmp_path / "made"
    id = api.add(shell(f"touch {made}; exec sleep 1000"), **fields)
    pid = started(api, id)
    assert status_of(pid, "Umask") == f"0{fields.get('umask', '022')}"
    api.until(id, "running")
    assert made.stat().st_mode & 0o777 == mode


# nice


@pytest.mark.parametrize("nice", [0, 7, 19, pytest.param(-5, marks=needs_root)])
@pytest.mark.parametrize("user", [OWN_USER, pytest.param(OTHER_USER, marks=needs_root)])
def test_process_has_the_priority(api: Api, nice: int, user: str) -> None:
    own = nice_of(os.getpid())
    pid = started(api, api.add(LONG_RUNNING, user=user, directory="/", nice=nice))
    assert nice_of(pid) == (nice or own)
    group = Path(f"/proc/{pid}/autogroup")
    if is_root() and nice and group.exists():
        assert group.read_text().strip().endswith(f" nice {nice}")


# Changes


@pytest.mark.parametrize(
    "fields", [{"umask": "077"}, {"nice": 3}, {"limits": {"core": 0}}, {"env_file": "-/none"}]
)
def test_change_restarts_what_runs_once(api: Api, fields: dict[str, Any]) -> None:
    id = api.add(LONG_RUNNING)
    old = started(api, id)
    api.ok(f"programs/edit/{id}", fields)
    new = api.until(id, "running")["status"]["pid"]
    assert new != old
    api.ok(f"programs/edit/{id}", fields)
    assert api.pid(id) == new


def test_temporary_program_has_them_too(quick: Quick) -> None:
    id = quick.run(LONG_RUNNING, limits={"nofile": 64}, umask="027", nice=4)
    pid = quick.pid(id)
    assert limits_of(pid)["nofile"] == ("64", "64")
    assert status_of(pid, "Umask") == "0027"
    assert nice_of(pid) == 4


def test_each_instance_of_a_port_range_has_them(api: Api) -> None:
    id = api.add(LONG_RUNNING, port_range={"start": 21500, "end": 21501}, umask="007")
    for port in (21500, 21501):
        assert status_of(started(api, id, port), "Umask") == "0007"


def test_plugin_knows_each_limit_that_a_program_can_have() -> None:
    assert resources.RESOURCES.keys() == NAMES.keys()


def test_program_file_of_an_older_version_has_the_defaults(tmp_path: Path) -> None:
    file = tmp_path / "program-1.json"
    required = {"group": "program-1", "name": "a", "argv": ["true"], "user": OWN_USER}
    file.write_text(json.dumps(required))
    context: Any = SimpleNamespace(options=None)
    read = configuration.read(context, file, lambda config: None)
    assert read.spec == asdict(spec.Specification(**required))
    config = read.process_configs[0]
    assert (config.umask, config.nice, config.limits, config.env_files) == (0o022, 0, {}, [])
    assert not config.redirect_stderr
    assert not config.log_timestamps


@pytest.mark.parametrize("missing", ["group", "argv", "user"])
def test_program_file_without_what_is_needed_is_not_read(tmp_path: Path, missing: str) -> None:
    file = tmp_path / "program-1.json"
    required = {"group": "program-1", "name": "a", "argv": ["true"], "user": OWN_USER}
    del required[missing]
    file.write_text(json.dumps(required))
    context: Any = SimpleNamespace(options=None)
    with pytest.raises((KeyError, ValueError)):
        configuration.read(context, file, lambda config: None)
