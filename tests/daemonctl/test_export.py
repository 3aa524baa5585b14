"""``export --format``: programs as services of systemd and as jobs of Nomad."""

import re
import shlex
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from daemonctl.exporting import formats
from daemonctl.exporting.program import is_secret
from daemonctl.exporting.systemd.quoting import command_line, unit_name
from daemonctl.importing.env_files import as_dotenv
from daemonctl.importing.program import Wishes
from daemonctl.importing.systemd import services
from daemonctl.problems import Problem
from tests.daemonctl.conftest import Ctl
from tests.daemonctl.foreign_tools import dumped_words, systemd_units
from tests.stack import OWN_USER, Api

ODD = "/bin/echo 'a b' '100%n' '$HOME' '${X}' ';' \"it's\" 'back\\slash' '' 'tab\there' ' #x' größer"
WEB: dict[str, Any] = {
    "name": "web",
    "command": ODD,
    "user": OWN_USER,
    "description": "The shop: 100% %n",
    "directory": "/usr/share",
    "boot": True,
    "environment": {"STAGE": "te st %n $X", "DB_PASSWORD": "a'b\"c\\d", "EMPTY": ""},
    "umask": "027",
    "nice": 5,
    "limits": {"nofile": 1024, "core": "unlimited"},
    "exit_codes": [0, 3],
    "restart_delay_seconds": 7,
    "restart_limit": 4,
    "stable_seconds": 30,
    "max_runtime_seconds": 3600,
    "stop_signal": "INT",
    "stop_grace_seconds": 20,
    "stop_scope": "tree",
    "memory_limit_bytes": 512 * 2**20,
    "reload": {"signal": "HUP"},
    "before_start": ["mkdir -p 'a b'", {"command": "true", "timeout": 300}],
    "stdout_logfile": "/var/log/web 100%.log",
    "redirect_stderr": True,
    "labels": {"team": "shop"},
}
NOTIFIES: dict[str, Any] = {
    "name": "api",
    "command": "/bin/sleep 1000",
    "user": OWN_USER,
    "ready": {"notify": True},
    "depends_on": [{"program": "web", "condition": "started"}],
    "autorestart": "true",
    "logs_enabled": False,
}
WORKERS: dict[str, Any] = {
    "name": "workers",
    "command": "/bin/sleep 100{instance}",
    "user": OWN_USER,
    "numprocs": 3,
    "autorestart": "false",
}
PORTS: dict[str, Any] = {
    "name": "ports @1",
    "command": "/bin/sleep 1",
    "user": OWN_USER,
    "port_range": {"start": 9201, "end": 9204},
    "port_param": "--port=",
    "stop_grace_seconds": 0,
    "webhooks": {"urls": ["https://hook.example/"]},
}
ALL = (WEB, NOTIFIES, WORKERS, PORTS)
UNITS = ("web.service", "api.service", "workers@.service", "ports\\x20\\x401@.service")


@pytest.fixture
def units(tmp_path: Path) -> Path:
    formats.write(ALL, "systemd", tmp_path)
    return tmp_path


def option(file: Path, name: str) -> list[str]:
    return re.findall(rf"^{name}=(.*)$", file.read_text(), re.MULTILINE)


# systemd


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd is not installed")
def test_systemd_accepts_the_units(units: Path) -> None:
    found = subprocess.run(
        ["systemd-analyze", "--man=no", "verify", *(str(units / name) for name in UNITS)],
        env={"SYSTEMD_UNIT_PATH": f"{units}:", "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert found.returncode == 0, found.stderr
    about_ours = [line for line in found.stderr.splitlines() if str(units) in line]
    assert about_ours == []


def test_systemd_runs_the_same(units: Path) -> None:
    names = ["web.service", "workers@2.service", "ports\\x20\\x401@9203.service"]
    made = systemd_units(units, names)
    assert dumped_words(made["web.service"]["ExecStart"][0]) == [
        "/bin/echo", "a b", "100%n", "$$HOME", "$${X}", ";", "it's", "back\\slash", "", "tab\there", " #x",
        "größer",
    ]  # fmt: skip
    assert made["web.service"]["Environment"] == ["STAGE=te st %n $X", "EMPTY="]
    assert made["web.service"]["WorkingDirectory"] == ["/usr/share"]
    assert made["web.service"]["Description"] == [WEB["description"]]
    assert dumped_words(made["workers@2.service"]["ExecStart"][0]) == ["/bin/sleep", "1002"]
    assert made["workers@2.service"]["Environment"] == ["INSTANCE=2"]
    ports = made["ports\\x20\\x401@9203.service"]
    assert dumped_words(ports["ExecStart"][0]) == ["/bin/sleep", "1", "--port=9203"]
    assert ports["Environment"] == ["PORT=9203"]


def test_what_is_exported_is_imported_as_it_was(units: Path) -> None:
    imported = services.read([units / "web.service", units / "api.service"], Wishes())
    web, api = (program.in_order() for program in imported.programs)
    # What others must not read is in a file. Pauses don't grow with systemd, and it has one timeout for all.
    secrets = {"env_file": [str(units / "web.env")], "environment": {"STAGE": "te st %n $X", "EMPTY": ""}}
    pauses = {"restart_delay_max_seconds": 7, "start_seconds": 0}
    steps = [{"command": "mkdir -p 'a b'", "timeout": 300}, {"command": "true", "timeout": 300}]
    lost = {"labels"}
    expected = {**WEB, **secrets, **pauses, "before_start": steps}
    assert {**web, "command": None} == {
        **{name: value for name, value in expected.items() if name not in lost},
        "command": None,
    }
    assert shlex.split(web["command"]) == shlex.split(ODD)
    assert {name: api[name] for name in NOTIFIES} == NOTIFIES


def test_instances_are_imported_one_by_one(units: Path) -> None:
    imported = services.read([units / "workers@0.service", units / "workers@1.service"], Wishes())
    assert [program.fields["command"] for program in imported.programs] == [
        "/bin/sleep 1000",
        "/bin/sleep 1001",
    ]
    assert [program.fields["environment"] for program in imported.programs] == [
        {"INSTANCE": "0"},
        {"INSTANCE": "1"},
    ]


def test_secrets_are_in_a_file_for_the_owner(units: Path) -> None:
    file = units / "web.env"
    assert file.stat().st_mode & 0o777 == 0o600
    assert as_dotenv(file.read_text()) == {"DB_PASSWORD": "a'b\"c\\d"}
    assert "DB_PASSWORD" not in (units / "web.service").read_text()
    assert (units / "web.service").stat().st_mode & 0o004
    assert not (units / "api.env").exists()


@pytest.mark.parametrize(
    ("name", "value", "secret"),
    [
        ("STAGE", "test", False),
        ("DB_PASSWORD", "", True),
        ("api_token", "x", True),
        ("AWS_ACCESS_KEY_ID", "x", True),
        ("DATABASE", "postgres://app:secret@db/app", True),
        ("DATABASE", "postgres://app@db/app", False),
        ("URL", "https://example.com/a:b", False),
    ],
)
def test_secret_is_what_looks_like_one(name: str, value: str, secret: bool) -> None:
    assert is_secret(name, value) is secret


def test_all_variables_are_in_the_file_if_there_are_others(tmp_path: Path) -> None:
    """With systemd a file wins over Environment=, and here it loses to environment."""
    program = {**WORKERS, "environment": {"A": "1"}, "env_file": ["/etc/default/all", "-/etc/default/x"]}
    formats.write([program], "systemd", tmp_path)
    assert option(tmp_path / "workers@.service", "EnvironmentFile") == [
        "/etc/default/all",
        "-/etc/default/x",
        str(tmp_path / "workers.env"),
    ]
    assert option(tmp_path / "workers@.service", "Environment") == ["INSTANCE=%i"]
    assert (tmp_path / "workers.env").read_text() == "A='1'\n"


@pytest.mark.parametrize(
    ("fields", "lines"),
    [
        ({"autorestart": "false"}, ["Restart=no"]),
        ({"autorestart": "true"}, ["Restart=always", "RestartSec=1", "StartLimitIntervalSec=0"]),
        ({"stop_grace_seconds": 0}, ["KillSignal=SIGKILL"]),
        ({"stop_signal": "QUIT"}, ["KillSignal=SIGQUIT", "KillMode=mixed", "TimeoutStopSec=10"]),
        ({"reload": {"command": "sh -c 'kill $X'"}}, ['ExecReload=sh -c "kill $$X"']),
        ({"delay_seconds": 5}, ["ExecStartPre=sleep 5", "TimeoutStartSec=65"]),
        ({"display": "1"}, ["Environment=DISPLAY=:1"]),
        ({"limits": {"as": 4096}}, ["LimitAS=4096"]),
        ({"command": "./run x", "directory": "/srv"}, ["ExecStart=/srv/run x", "WorkingDirectory=/srv"]),
        ({"command": "-x"}, ["ExecStart=/usr/bin/env -- -x"]),
        ({}, ["WorkingDirectory=~", "Type=exec"]),
        ({"logs_enabled": False}, ["StandardOutput=null", "StandardError=null"]),
        ({"stderr_logfile": "/x y"}, ["StandardError=append:/x y"]),
    ],
)
def test_fields_become_options(tmp_path: Path, fields: dict[str, Any], lines: list[str]) -> None:
    program = {"name": "p", "command": "/bin/true", "user": OWN_USER, **fields}
    formats.write([program], "systemd", tmp_path)
    assert set(lines) <= set((tmp_path / "p.service").read_text().splitlines())


def test_what_has_no_counterpart_is_said(tmp_path: Path) -> None:
    program = {
        **WORKERS,
        "depends_on": [{"program": "db", "condition": "ready"}],
        "ready": {"port": 1},
        "health": {"port": 1},
        "exit_codes": [1],
        "stdin": "pipe",
        "enabled": False,
        "labels": {"a": "b"},
    }
    notes = formats.write([program], "systemd", tmp_path).notes
    assert notes == [
        "workers: It waited for 'db' to be ready",
        "workers: Its end with 0 is a success to systemd",
        "workers: Its instances are workers@0.service to workers@2.service: "
        "systemctl enable --now workers@{0..2}.service",
        "workers: Whether it is ready is not looked at",
        "workers: Whether it is healthy is not looked at: systemd has WatchdogSec for programs that notify",
        "workers: No counterpart: stdin, labels",
        "workers: It is disabled here",
    ]
    said = re.sub(r"\n#   ", " ", (tmp_path / "workers@.service").read_text())
    assert all(f"# {note.removeprefix('workers: ')}\n" in said for note in notes)


@pytest.mark.parametrize(
    ("name", "unit"),
    [
        ("web-1.x_y:z", "web-1.x_y:z"),
        ("a b@c/d", "a\\x20b\\x40c\\x2fd"),
        (".x", "\\x2ex"),
        ("ü", "\\xc3\\xbc"),
    ],
)
def test_names_become_names_of_units(name: str, unit: str) -> None:
    assert unit_name(name) == unit


def test_first_word_has_no_variables_to_escape() -> None:
    assert command_line(["/opt/$x", "$x", "a\nb\x01"]) == '"/opt/$x" "$$x" "a\\nb\\x01"'


# Nomad

# What the job specification knows, as far as it is used, with the type of each value.
SPECIFICATION: dict[str, dict[str, type]] = {
    "job": {"datacenters": list, "type": str},
    "group": {"count": int},
    "restart": {"attempts": int, "interval": str, "delay": str, "mode": str},
    "reschedule": {"attempts": int, "delay": str, "delay_function": str, "max_delay": str, "unlimited": bool},
    "network": {},
    "port": {},
    "ephemeral_disk": {"size": int},
    "task": {"driver": str, "user": str, "kill_signal": str, "kill_timeout": str},
    "config": {"command": str, "args": list},
    "resources": {"memory": int},
    "logs": {"max_files": int, "max_file_size": int},
}
INSIDE = {
    "": {"job"},
    "job": {"group"},
    "group": {"restart", "reschedule", "network", "ephemeral_disk", "task"},
    "network": {"port"},
    "task": {"config", "env", "resources", "logs"},
}
STRING = r'"((?:[^"\\]|\\.)*)"'


def parsed(text: str, kind: str = "") -> dict[str, Any]:
    """Read a job line by line, as strictly as the specification has it; blocks are lists by their kind."""
    lines = [line.strip() for line in text.splitlines() if line.strip() and not line.startswith("#")]
    return _block(iter(lines), kind)


def _block(lines: Any, kind: str) -> dict[str, Any]:
    content: dict[str, Any] = {}
    for line in lines:
        if line == "}":
            return content
        if begun := re.fullmatch(rf"(\w+)(?: {STRING})? {{", line):
            assert begun[1] in INSIDE[kind], line
            content.setdefault(begun[1], []).append({"label": begun[2], **_block(lines, begun[1])})
            continue
        name, value = re.fullmatch(r"([A-Za-z_]\w*) = (.*)", line).groups()  # type: ignore[union-attr]
        content[name] = _value(value)
        if kind != "env":
            assert type(content[name]) is SPECIFICATION[kind][name], line
    assert kind == ""
    return content


def _value(text: str) -> Any:
    if text.startswith("["):
        assert re.fullmatch(rf"\[{STRING}(, {STRING})*\]", text), text
        return [_unquoted(found[1]) for found in re.finditer(STRING, text)]
    if found := re.fullmatch(STRING, text):
        return _unquoted(found[1])
    return {"true": True, "false": False}[text] if text.isalpha() else int(text)


def _unquoted(text: str) -> str:
    plain = re.sub(r"\\(u[0-9a-f]{4}|.)", lambda found: _sign(found[1]), text)
    return re.sub(r"([$%])\1\{", r"\1{", plain)


def _sign(escape: str) -> str:
    return (
        chr(int(escape[1:], 16))
        if escape[0] == "u" and len(escape) == 5
        else dict(zip('nrt"\\', '\n\r\t"\\', strict=True))[escape]
    )


@pytest.fixture
def jobs(tmp_path: Path) -> Path:
    formats.write(ALL, "nomad", tmp_path)
    return tmp_path


def job(folder: Path, name: str) -> dict[str, Any]:
    [found] = parsed((folder / f"{name}.nomad.hcl").read_text())["job"]
    return found  # type: ignore[no-any-return]


def test_job_has_one_group_with_the_program_as_its_task(jobs: Path) -> None:
    web = job(jobs, "web")
    assert (web["label"], web["type"], web["datacenters"]) == ("web", "service", ["*"])
    [group] = web["group"]
    assert group["count"] == 1
    assert group["restart"] == [
        {"label": None, "attempts": 4, "interval": "120s", "delay": "7s", "mode": "fail"}
    ]
    [task] = group["task"]
    assert (task["driver"], task["user"]) == ("raw_exec", OWN_USER)
    assert (task["kill_signal"], task["kill_timeout"]) == ("SIGINT", "20s")
    assert task["resources"] == [{"label": None, "memory": 512}]
    assert task["env"] == [{"label": None, **WEB["environment"]}]


def test_command_of_a_job_runs_the_same(jobs: Path) -> None:
    [config] = job(jobs, "web")["group"][0]["task"][0]["config"]
    shown = "for each; do printf '[%s]' \"$each\"; done; pwd; umask; ulimit -n; nice"
    script = [config["args"][1], "sh", "/bin/sh", "-c", shown, *config["args"][3:]]
    assert config["args"][0] == "-c"
    found = subprocess.run([config["command"], "-c", *script], capture_output=True, text=True, timeout=10)
    assert found.stdout == (
        "[a b][100%n][$HOME][${X}][;][it's][back\\slash][][tab\there][ #x][größer]/usr/share\n0027\n1024\n5\n"
    ), found.stderr


def test_instances_of_a_job_are_counted(jobs: Path) -> None:
    workers, ports = job(jobs, "workers")["group"][0], job(jobs, "ports-1")["group"][0]
    assert (workers["count"], ports["count"]) == (3, 4)
    [config], [env] = workers["task"][0]["config"], workers["task"][0]["env"]
    assert config["args"][-2:] == ["/bin/sleep", "100${NOMAD_ALLOC_INDEX}"]
    assert env["INSTANCE"] == "${NOMAD_ALLOC_INDEX}"
    assert ports["network"][0]["port"] == [{"label": "main"}]
    assert ports["task"][0]["config"][0]["args"][-1] == "--port=${NOMAD_PORT_main}"
    assert ports["task"][0]["env"][0]["PORT"] == "${NOMAD_PORT_main}"
    assert ports["task"][0]["kill_signal"] == "SIGKILL"


@pytest.mark.parametrize(
    ("fields", "kind", "attempts", "mode"),
    [
        ({"autorestart": "true"}, "service", 10, "delay"),
        ({"autorestart": "unexpected"}, "batch", 10, "delay"),
        ({"autorestart": "unexpected", "boot": True}, "service", 10, "delay"),
        ({"autorestart": "false"}, "batch", 0, "fail"),
        ({"restart_limit": 3}, "batch", 3, "fail"),
    ],
)
def test_restarts_become_a_policy(
    tmp_path: Path, fields: dict[str, Any], kind: str, attempts: int, mode: str
) -> None:
    formats.write([{"name": "p", "command": "true", "user": OWN_USER, **fields}], "nomad", tmp_path)
    made = job(tmp_path, "p")
    [restart], [reschedule] = made["group"][0]["restart"], made["group"][0]["reschedule"]
    assert (made["type"], restart["attempts"], restart["mode"]) == (kind, attempts, mode)
    # Nomad refuses an interval that has no room for the attempts, and one below 5 seconds.
    seconds = int(restart["interval"].rstrip("s"))
    assert seconds >= max(5, attempts * int(restart["delay"].rstrip("s")))
    assert reschedule["unlimited"] is (kind == "service")


def test_jobs_may_hold_secrets_and_have_room_for_their_logs(tmp_path: Path) -> None:
    program = {
        "name": "p",
        "command": "true",
        "user": OWN_USER,
        "log_max_bytes": 50 * 2**20,
        "log_backups": 9,
    }
    formats.write([program], "nomad", tmp_path)
    assert (tmp_path / "p.nomad.hcl").stat().st_mode & 0o777 == 0o600
    [group] = job(tmp_path, "p")["group"]
    assert group["task"][0]["logs"] == [{"label": None, "max_files": 10, "max_file_size": 50}]
    assert group["ephemeral_disk"] == [{"label": None, "size": 1100}]


def test_names_of_jobs_are_not_taken_twice(tmp_path: Path) -> None:
    programs = [{**WORKERS, "name": name} for name in ("a b", "a-b")]
    with pytest.raises(Problem, match="'a-b' would have the same job as another program: a-b"):
        formats.write(programs, "nomad", tmp_path)


# The command


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    (tmp_path / "workers@.service").symlink_to("/nowhere")
    with pytest.raises(Problem, match="is there already"):
        formats.write([NOTIFIES, WORKERS], "systemd", tmp_path)
    assert not (tmp_path / "api.service").exists()


def test_programs_of_a_daemon_are_exported(api: Api, ctl: Ctl, tmp_path: Path) -> None:
    api.add("/bin/sleep 1000", name="exported", labels={"door": "out"}, environment={"API_KEY": "x"})
    folder = tmp_path / "new" / "units"
    done = ctl("export", "door=out", "--format", "systemd", "--into", str(folder))
    assert (done.returncode, done.stderr) == (0, "exported: No counterpart: labels\n")
    assert done.stdout == f"{folder}/exported.service\n{folder}/exported.env\n"
    again = ctl("export", "door=out", "--format", "systemd", "--into", str(folder))
    assert (again.returncode, again.stderr) == (1, f"{folder}/exported.service is there already\n")
    assert ctl("export", "door=out", "--format", "nomad", "--into", str(folder)).returncode == 0
    assert job(folder, "exported")["group"][0]["task"][0]["env"][0]["API_KEY"] == "x"
    for wrong in (("--format", "nomad"), ("--into", str(folder))):
        assert ctl("export", "door=out", *wrong).returncode == 2
