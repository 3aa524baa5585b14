"""Files of other tools are imported and started: what runs has the arguments that it had with the tool."""

import json
import os
import shutil
from pathlib import Path
from typing import Any

import psutil
import pytest

from daemonctl.manifest.read import parse
from tests.daemonctl.conftest import Ctl
from tests.daemonctl.foreign_tools import FOREIGN, needs_node
from tests.processes import arguments, environment, is_past_exec
from tests.stack import OWN_USER, Api, eventually

_KEEPS = ["-c", "sleep 100000; :"]


class Started:
    """Imports a file, applies it, and starts some of its programs."""

    def __init__(self, api: Api, ctl: Ctl, folder: Path) -> None:
        self.folder = folder
        self._api = api
        self._ctl = ctl
        self.ids: dict[str, int] = {}

    def programs(self, *names: str, **variables: str) -> dict[str, dict[str, Any]]:
        """Return the programs that were applied, by name. None of them is started by that."""
        ran = self._ctl("import", "--user", OWN_USER, *(str(self.folder / name) for name in names))
        assert (ran.returncode, ran.stderr) == (0, "")
        document = parse(ran.stdout, variables)
        for program in document["programs"]:
            program["boot"] = False
        self._api.ok("programs/apply", document)
        again = self._api.ok("programs/apply", document)
        assert again["counts"]["unchanged"] == len(document["programs"])
        added = self._api.get("programs").json()["programs"]
        self.ids = {program["name"]: program["id"] for program in added}
        return {program["name"]: program for program in document["programs"]}

    def processes(self, name: str) -> list["Run"]:
        """Start all of a program, and return its processes once they have become what they are to be."""
        id = self.ids[name]
        self._api.ok(f"programs/{id}/start", {"all": True})

        def running() -> list[int]:
            status = self._api.status(id)
            states = status.get("instances", [status.get("status")])
            pids = [
                each["pid"]
                for each in states
                if each.get("pid") and each["status"] in ("running", "starting")
            ]
            expected = status.get("total_count", 1)
            return (
                pids
                if len(pids) == expected and all(is_past_exec(pid, id) and _has_become(pid) for pid in pids)
                else []
            )

        return [Run(pid) for pid in eventually(running, what=f"{name} runs")]


def _has_become(pid: int) -> bool:
    """Return whether a process is what shells and `env` before it were to become."""
    given = arguments(pid)
    return bool(given) and given[0] != b"env" and b"exec" not in b" ".join(given)[:40]


class Run:
    """A process as the kernel has it."""

    def __init__(self, pid: int) -> None:
        self.argv = [each.decode() for each in arguments(pid)]
        self.environment = {name.decode(): text.decode() for name, text in environment(pid).items()}
        process = psutil.Process(pid)
        self.directory, self.user, self.nice = process.cwd(), process.username(), process.nice()
        status = Path(f"/proc/{pid}/status").read_text()
        self.umask = next(line.split()[1] for line in status.splitlines() if line.startswith("Umask"))


@pytest.fixture
def started(api: Api, ctl: Ctl, tmp_path: Path) -> Started:
    """Return what imports copies of the files: their programs write logs beside them."""
    folder = shutil.copytree(FOREIGN, tmp_path / "foreign")
    unit = folder / "systemd" / "web.service"
    unit.write_text(unit.read_text().replace("append:/var/log/shop", f"append:{folder}"))
    return Started(api, ctl, folder)


def test_supervisord(started: Started) -> None:
    folder = started.folder / "supervisord"
    started.programs("supervisord/supervisord.conf")
    (web,) = started.processes("web")
    assert web.argv == ["/bin/sh", *_KEEPS, "web", "--name=web", "two words", "--region=us"]
    assert (web.directory, web.user, web.umask) == (str(folder), OWN_USER, "0027")
    assert web.environment["SHOP"] == "north, and south"
    assert web.environment["GREETING"] == f"hello, world; {os.uname().nodename}"
    mailers = started.processes("mailer")
    assert [mailer.argv[3:5] for mailer in mailers] == [[f"mailer-{number}", "crew"] for number in range(3)]
    (resizer,) = started.processes("resizer_08")
    assert (resizer.argv[3:], resizer.environment["NUMBER"]) == (["--port=9008"], "8")
    (once,) = started.processes("once")
    assert once.argv == ["/bin/sh", *_KEEPS, "once", 'a "quoted" word']


def test_procfile(started: Started) -> None:
    started.programs("procfile/Procfile")
    expected = {
        "web": ["sh", *_KEEPS, "web", "--bind", "127.0.0.1:7000", "--greeting", "hello  world"],
        "worker": ["sh", *_KEEPS, "worker", "-q", "high,low"],
        "clock_1": ["sh", *_KEEPS, "it's", "time"],
    }
    for number, (name, argv) in enumerate(expected.items()):
        (run,) = started.processes(name)
        assert run.argv == argv
        assert run.directory == str(started.folder / "procfile")
        assert run.environment.items() >= {"PORT": str(7000 + 100 * number), "SINGLE": "one $HOME"}.items()


@needs_node
def test_pm2(started: Started) -> None:
    folder = started.folder / "pm2"
    started.programs("pm2/ecosystem.config.js")
    (web,) = started.processes("web")
    assert web.argv == ["sh", f"{folder}/shop/server.sh", "--title", "two words", "--count", "3"]
    assert (web.directory, web.environment["NESTED"]) == (str(folder), '{"a":[1,2]}')
    crew = started.processes("crew")
    assert [run.environment["PORT"] for run in crew] == ["9100", "9101"]
    assert [run.environment["NODE_APP_INSTANCE"] for run in crew] == ["0", "1"]
    words = ["--queue", "high", "--title", "two words", "--who='a b'"]
    assert crew[0].argv == ["/bin/sh", "-e", f"{folder}/shop/worker.sh", *words]
    assert crew[0].directory == f"{folder}/shop"


def test_process_compose(started: Started) -> None:
    folder = started.folder / "process_compose"
    programs = started.programs("process_compose/process-compose.yaml", PORT="9001")
    (database,) = started.processes("database")
    assert database.argv == ["sh", "-c", 'greeting="${REGION}"\nsleep 100000\n:']
    assert database.directory == f"{folder}/api"
    (mail,) = started.processes("mail")
    assert mail.argv == ["sh", *_KEEPS, "mail server", "--port={{ .MAIL_PORT }}"]
    assert "PROJECT" not in mail.environment
    assert programs["web"]["command"] == "sh -c \"exec sh -c 'sleep 100000; :' web --port=9001 --name shop\""
    assert programs["migrate"]["command"] == "sh -c 'sleep 100000; : \"two words\" 9025 north'"
    (seed,) = started.processes("seed")
    assert (seed.argv, seed.environment["PROJECT"]) == (["sleep", "100000"], "shop")


def test_systemd(started: Started, api: Api) -> None:
    started.programs(*(f"systemd/{name}.service" for name in ("web", "database", "migrate", "crew@a-b")))
    api.ok(f"programs/edit/{started.ids['web']}", {"depends_on": None})
    (web,) = started.processes("web")
    words = [
        "two words",
        "tab\there",
        "xy z",
        "hello world",
        "9000",
        "9001",
        "-pweb.service-",
        "$",
        "%",
        "web",
    ]
    assert web.argv == ["/bin/sh", *_KEEPS, *words, ";", "", ""]
    assert (web.directory, web.nice, web.umask) == ("/", 5, "0027")
    assert web.environment.items() >= {"ESCAPED": "a b", "ADDED": "by-a-drop-in"}.items()
    (crew,) = started.processes("crew@a-b")
    assert crew.argv == ["/bin/sh", *_KEEPS, "a-b", "crew", "a/b", "$HOME"]
    (database,) = started.processes("database")
    assert database.argv == ["/bin/sh", *_KEEPS, "database", "--data", "/var/lib/shop", 'a "b"']
    api.ok(f"programs/edit/{started.ids['migrate']}", {"depends_on": None})
    (migrate,) = started.processes("migrate")
    assert migrate.argv == ["sleeper", "100000"]


def test_import_and_apply_are_two_commands(api: Api, ctl: Ctl, tmp_path: Path) -> None:
    folder = shutil.copytree(FOREIGN / "procfile", tmp_path / "procfile")
    file = tmp_path / "programs.yaml"
    file.write_text(ctl("import", "--user", OWN_USER, "--set", "shop", str(folder / "Procfile")).stdout)
    applied = ctl("apply", "-f", str(file), "--yes", "--wait")
    assert applied.returncode == 0, applied.stderr
    assert "3 to create" in applied.stdout
    [row] = json.loads(ctl("status", "-o", "json", "worker").stdout)
    eventually(lambda: arguments(row["pid"])[-2:] == [b"-q", b"high,low"], what="it runs")
