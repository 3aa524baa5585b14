"""What is imported is what the tools themselves make of the same files, by their own parsers."""

import shlex
import signal
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from daemonctl.importing.program import DEFAULTS
from daemonctl.importing.systemd.executions import executions
from daemonctl.importing.systemd.units import Value
from tests.daemonctl.foreign_tools import (
    FOREIGN,
    Process,
    dumped_words,
    imported,
    needs_node,
    pm2_apps,
    processes,
    supervisor_processes,
    systemd_units,
    user_of,
)


def value(program: Mapping[str, Any], field: str) -> Any:
    return program.get(field, DEFAULTS.get(field))


# supervisord


def compare_with_supervisord(file: Path, programs: dict[str, Any], **variables: str) -> int:
    """Compare each process of each group that isn't of another kind; return how many there are."""
    from supervisor.datatypes import Automatic, RestartUnconditionally, RestartWhenExitUnexpected
    from supervisor.options import EventListenerConfig, FastCGIProcessConfig

    words = {RestartUnconditionally: "true", RestartWhenExitUnexpected: "unexpected", False: "false"}
    ours = {}
    for name, program in programs.items():
        for number, process in enumerate(processes(program)):
            several = program.get("numprocs", 1) > 1
            ours[f"{name}_{number:02}" if several else name] = (program, process, number if several else None)
    compared = 0
    for group, name, config in supervisor_processes(file):
        if isinstance(config, EventListenerConfig | FastCGIProcessConfig):
            continue
        program, process, number = ours.pop(name)
        assert process == Process(shlex.split(config.command), config.directory, config.environment), name
        assert value(program, "labels").get("group", group) == group
        assert (
            value(program, "autorestart")
            == words[config.autorestart if config.exitcodes else RestartUnconditionally]
        )
        assert value(program, "exit_codes") == (sorted(config.exitcodes) or [0])
        assert program["user"] == user_of(config.uid)
        assert value(program, "umask") == f"{0o22 if config.umask is None else config.umask:03o}"
        assert value(program, "stop_signal") == signal.Signals(config.stopsignal).name.removeprefix("SIG")
        assert value(program, "stop_scope") == ("tree" if config.stopasgroup else "main")
        for ours_, theirs in (
            ("boot", "autostart"), ("start_seconds", "startsecs"), ("start_retries", "startretries"),
            ("stop_grace_seconds", "stopwaitsecs"), ("priority", "priority"),
            ("redirect_stderr", "redirect_stderr"),
            ("log_max_bytes", "stdout_logfile_maxbytes"), ("log_backups", "stdout_logfile_backups"),
        ):  # fmt: skip
            assert value(program, ours_) == getattr(config, theirs), (name, ours_)
        for stream in ("stdout_logfile", "stderr_logfile"):
            path = program.get(stream)
            path = path.replace("{instance}", str(number)) if path else path
            if not (stream == "stderr_logfile" and config.redirect_stderr):
                assert path == {Automatic: None, None: "/dev/null"}.get(*[getattr(config, stream)] * 2), name
        compared += 1
    assert not ours
    return compared


def test_supervisord_runs_the_same() -> None:
    file = "supervisord/supervisord.conf"
    assert compare_with_supervisord(FOREIGN / file, imported(file)) == 8


def test_variables_of_who_starts_supervisord_are_those_of_who_applies(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "supervisord.conf"
    file.write_text(
        "[supervisord]\nenvironment=TOP=%(ENV_SHOP_NAME)s\n"
        "[program:a]\ncommand=sleep %(ENV_SHOP_SECONDS)s '%(ENV_SHOP_NAME)s' \"%(ENV_TOP)s\" %(ENV_OWN)s $A\n"
        'environment=OWN="<%(ENV_SHOP_NAME)s>"\npriority=%(ENV_SHOP_SECONDS)s\n'
    )
    variables = {"SHOP_NAME": "north", "SHOP_SECONDS": "7"}
    for name, text in variables.items():
        monkeypatch.setenv(name, text)
    assert compare_with_supervisord(file, imported(str(file), **variables)) == 1


_PIECES = (
    "a",
    "%%",
    "'b c'",
    '"d; e"',
    "\\ y",
    "#f",
    "$G",
    "${H}",
    "{instance}",
    "%(process_num)02d",
    " ",
    "=",
    "é",
)


@settings(max_examples=80, deadline=None)
@given(
    pieces=st.lists(st.sampled_from(_PIECES), max_size=8), count=st.integers(1, 3), first=st.integers(0, 9)
)
def test_any_command_is_split_as_by_supervisord(
    tmp_path_factory: pytest.TempPathFactory, pieces: list[str], count: int, first: int
) -> None:
    file = tmp_path_factory.mktemp("any") / "supervisord.conf"
    file.write_text(
        f"[supervisord]\n[program:p]\ncommand=x{''.join(pieces)}\nprocess_name=p_%(process_num)02d\n"
        f"numprocs={count}\nnumprocs_start={first}\n",
    )
    theirs = [shlex.split(config.command) for _, _, config in supervisor_processes(file)]
    ours = [each.argv for program in imported(str(file)).values() for each in processes(program)]
    assert ours == theirs


# Procfiles


def test_honcho_runs_the_same() -> None:
    environ = pytest.importorskip("honcho.environ", reason="honcho is not installed")
    folder = FOREIGN / "procfile"
    procfile = environ.parse_procfile((folder / "Procfile").read_text())
    variables = environ.parse((folder / ".env").read_text())
    programs = imported("procfile/Procfile")
    expanded = environ.expand_processes(procfile.processes, env=variables, port=5000)
    assert [each.name for each in expanded] == [f"{name}.1" for name in programs]
    for each, (name, program) in zip(expanded, programs.items(), strict=True):
        (process,) = processes(program)
        assert process.argv == ["/bin/sh", "-c", each.cmd], name
        own = {key: text for key, text in each.env.items() if key != "HONCHO_PROCESS_NAME"}
        assert {**variables_of(program), **process.environment} == own


def variables_of(program: Mapping[str, Any]) -> dict[str, str]:
    """Return the variables of the files of a program, as the daemon reads them."""
    from daemon_programs.supervisor.filesystem import env_files

    return env_files.read(program.get("env_file", []))


@settings(max_examples=80, deadline=None)
@given(text=st.text("AB_1 =\"'\\#$\n\tnx", max_size=30))
def test_any_env_file_is_read_as_by_honcho(text: str) -> None:
    environ = pytest.importorskip("honcho.environ", reason="honcho is not installed")
    from daemonctl.importing.env_files import as_honcho

    try:
        theirs = environ.parse(text)
    except ValueError:
        with pytest.raises(ValueError):
            as_honcho(text)
        return
    assert as_honcho(text) == theirs


# pm2


@needs_node
@pytest.mark.parametrize("environment", [None, "production"])
def test_pm2_runs_the_same(environment: str | None) -> None:
    file = "pm2/ecosystem.config.js"
    programs = imported(file, environment=environment)
    apps = pm2_apps(FOREIGN / file, environment)
    assert apps.keys() == programs.keys()
    for name, app in apps.items():
        program = programs[name]
        (first, *_) = processes(program)
        interpreter = (
            [] if app["exec_interpreter"] == "none" else [app["exec_interpreter"], *app["node_args"]]
        )
        argv = [*interpreter, app["pm_exec_path"], *map(str, app.get("args", []))]
        assert first.argv[-len(argv) :] == argv
        assert first.directory == app["pm_cwd"]
        counted = app.get("increment_var")
        theirs = {key: as_text(each) for key, each in app["own"].items() if key not in (counted, "HOME")}
        assert first.environment.items() >= theirs.items()
        assert first.environment.keys() <= theirs.keys() | {"NODE_APP_INSTANCE"}
        assert value(program, "autorestart") == (
            "false" if not app["autorestart"] else "unexpected" if "stop_exit_codes" in app else "true"
        )
        assert value(program, "exit_codes") == app.get("stop_exit_codes", [0])
        assert value(program, "numprocs") == app["instances"]
        assert value(program, "boot") == app["autostart"]
        assert value(program, "memory_limit_bytes") == app.get("max_memory_restart")
        assert value(program, "start_seconds") * 1000 == app.get("min_uptime", 1000)
        assert value(program, "start_retries") + 1 == app.get("max_restarts", 16)
        assert value(program, "stop_scope") == ("tree" if app["treekill"] else "main")


def as_text(given: Any) -> str:
    return str(given).lower() if isinstance(given, bool) else str(given)


# systemd

_UNITS = ("web.service", "database.service", "migrate.service", "crew@a-b.service")


def test_systemd_runs_the_same() -> None:
    programs = imported(*(f"systemd/{name}" for name in _UNITS))
    units = systemd_units(FOREIGN / "systemd", list(_UNITS))
    assert sorted(units) == sorted(_UNITS)
    restarts = {"no": "false", "always": "true", "on-failure": "unexpected"}
    for name, unit in units.items():
        program = programs[name.removesuffix(".service")]
        environment = dict(each.split("=", 1) for each in unit.get("Environment", []))
        assert program.get("environment", {}) == environment, name
        assert program["description"] == unit["Description"][0]
        assert value(program, "autorestart") == restarts[unit["Restart"][0]]
        assert f"0{value(program, 'umask')}" == unit["UMask"][0]
        assert f"SIG{value(program, 'stop_signal')}" == unit["KillSignal"][0]
        assert value(program, "nice") == int(unit.get("Nice", ["0"])[0])
        assert program.get("env_file", []) == unit.get("EnvironmentFile", [])
        if name == "web.service":  # for the others it differs between services of a user and of the system
            assert program.get("directory") == unit["WorkingDirectory"][0]
        if "limits" in program:
            assert program["limits"]["nofile"] == int(unit["LimitNOFILESoft"][0])
        starts = [dumped_words(line) for line in unit["ExecStart"]]
        (process,) = processes(program)
        if name == "crew@a-b.service":
            assert process.argv == starts[-1]
        if name == "web.service":
            assert process.argv[:6] == starts[-1][:6]  # before what has variables
        assert len(program.get("before_start", [])) == len(unit.get("ExecStartPre", [])) + len(starts) - 1


@pytest.mark.parametrize(
    "text",
    [
        "a 'b c' \"d e\"", "a\\x41\\101\\u00e9 \\\\", "x'y z'w \"\" ''", "a\\sb \\;", '"it\'s" \'"\'',
        "t\\tu \\$x", "a\\q b", "  lead   trail  ",
    ],
)  # fmt: skip
def test_words_are_systemds(text: str, tmp_path: Path) -> None:
    (tmp_path / "one.service").write_text(f"[Service]\nExecStart=/bin/echo {text}\n")
    unit = systemd_units(tmp_path, ["one.service"])["one.service"]
    (execution,) = executions(Value(f"/bin/echo {text}", ""), lambda value: value.text)
    assert execution.words == dumped_words(unit["ExecStart"][0])
