"""Whole sets of programs, and the commands that exchange them."""

import json
from pathlib import Path
from typing import Any

from tests import database
from tests.processes import LONG_RUNNING
from tests.stack import OWN_USER, Api, Stack, eventually

# A variety of programs, with every field at least once.
SET: list[dict[str, Any]] = [
    {
        "name": "日本 [x] %(ENV_PATH)s",
        "command": "sleep  1000",
        "description": "“two\nlines” \u2028",
        "environment": {"EMPTY": "", "_x": "\n\t'\"\\%"},
        "autorestart": "true",
        "priority": 1,
        "log_max_bytes": 0,
        "log_backups": 100,
        "display": ":1",
    },
    {
        "id": 4711,
        "name": "ports",
        "command": "sleep 1000 {port}",
        "port_range": {"start": 64000, "end": 64002},
        "port_param": "-p",
        "lazy_load": True,
    },
    {
        "name": "hooked",
        "command": LONG_RUNNING,
        "ready_port": 65535,
        "reload": {"command": "sh -c 'kill -HUP $MAINPID'"},
        "stdin": "pipe",
        "memory_limit_bytes": 2**40,
        "before_start": ["true", {"command": "true ü", "timeout": 5}],
        "webhooks": {
            "urls": ["https://example.com/ü"],
            "events": "exited",
            "headers": {"A": "b"},
            "retry": 0,
        },
    },
    {
        "name": "off",
        "command": "true",
        "enabled": False,
        "boot": True,
        "delay_seconds": 3600,
        "stop_grace_seconds": 0,
        "start_seconds": 0,
        "start_retries": None,
        "restart_delay_seconds": 0,
        "restart_delay_max_seconds": 86400,
        "stable_seconds": 1,
        "restart_limit": 10000,
        "exit_codes": [0, 143],
        "max_runtime_seconds": 31_536_000,
        "stop_signal": "INT",
        "stop_scope": "tree",
        "ready": {"http": "http://127.0.0.1:9000/healthz", "status": 204, "interval": 2},
        "health": {"notify": True, "action": "none"},
        "depends_on": [{"program": "hooked", "condition": "completed"}],
        "directory": "/tmp",
        "logs_enabled": False,
        "stdout_logfile": "/tmp/daemon-none/out.log",
        "stderr_logfile": "/tmp/daemon-none/err.log",
    },
    {
        "name": "terminal",
        "command": "sh",
        "terminal_id": 4,
        "terminal_shell": "sh",
        "terminal_interactive": False,
    },
    {
        "name": "surrounded",
        "command": LONG_RUNNING,
        "env_file": ["/etc/ü.env", "-/none/ .env"],
        "umask": "077",
        "nice": 19,
        "limits": {"nofile": 4096, "core": "unlimited", "as": 2**53 - 1},
        "redirect_stderr": True,
        "log_timestamps": True,
        "labels": {"team": "web", "example.com/tier": "", "1": "2"},
        "numprocs": 3,
        "set": "shop",
    },
]


def done(stack: Stack, *command: object) -> str:
    """Run a management command that succeeds, and return its output."""
    ran = stack.manage(*map(str, command))
    assert ran.returncode == 0, ran.stderr
    assert ran.stderr == ""
    return ran.stdout


def failed(stack: Stack, *command: object) -> str:
    """Run a management command that fails, and return its error."""
    ran = stack.manage(*map(str, command))
    assert ran.returncode == 1, ran.stdout
    assert ran.stdout == ""
    assert ran.stderr.startswith("CommandError: ")
    assert ran.stderr.count("\n") == 1, ran.stderr
    return ran.stderr.removeprefix("CommandError: ").strip()


def write(file: Path, *documents: dict[str, Any]) -> Path:
    file.write_text(json.dumps({"programs": documents}), encoding="utf-8")
    return file


def document(id: int, name: str, **fields: Any) -> dict[str, Any]:
    return {"id": id, "name": name, "command": LONG_RUNNING, "user": OWN_USER, **fields}


def names(api: Api) -> dict[int, str]:
    return {program["id"]: program["name"] for program in api.get("programs").json()["programs"]}


def stored(stack: Stack) -> dict[int, str]:
    """Return the names of the programs that the database has, for a stack that does not run."""
    with database.opened(stack.folder) as rows:
        return dict(rows.execute("SELECT id, name FROM daemon_programs_program"))


def everything(stack: Stack) -> tuple[object, ...]:
    """Return everything that a command without changes leaves alone."""
    configured = {file.name: file.read_bytes() for file in (stack.folder / "conf.d").iterdir()}
    kept = [file.name for file in stack.folder.glob("backups/*")]
    return stack.api.get("programs").text, configured, kept, pids(stack.api)


def pids(api: Api) -> dict[str, int | None]:
    statuses = api.get("status").json()["statuses"]
    return {program["name"]: program["status"].get("pid") for program in statuses}


def mirrored(stack: Stack) -> bytes:
    """``programs.json``, once it holds what the list shows."""
    file = stack.folder / "programs.json"
    eventually(lambda: json.loads(file.read_bytes()) == stack.api.get("programs").json())
    return file.read_bytes()


def newest_backups(stack: Stack) -> list[Path]:
    return sorted((stack.folder / "backups").iterdir())[-1:]
