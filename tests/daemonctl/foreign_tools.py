"""Imported programs as they would be run, and what the tools themselves make of the same files."""

import io
import json
import os
import pwd
import shlex
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from daemon_programs.text import split_words
from daemonctl.importing import formats, writer
from daemonctl.importing.program import Wishes
from daemonctl.manifest.read import parse
from tests.bench import peers
from tests.stack import OWN_USER, temporary_folder

FOREIGN = Path(__file__).with_name("foreign")
needs_node = pytest.mark.skipif(shutil.which("node") is None, reason="node is not installed")


class Process(NamedTuple):
    """A process that is to be started."""

    argv: list[str]
    directory: str | None
    environment: dict[str, str]


def imported(*names: str, form: str | None = None, environment: str | None = None, **variables: str) -> Any:
    """Import files below `foreign`, write them, and read what was written: the fields by name."""
    files = [FOREIGN / name for name in names]
    text = writer.to_yaml(formats.read(files, form, Wishes(OWN_USER, environment)))
    return {program["name"]: program for program in parse(text, variables)["programs"]}


def processes(program: Mapping[str, Any]) -> list[Process]:
    """Return the processes of a program, one for each instance."""
    count = program.get("numprocs", 1)
    commands = [
        program["command"].replace("{instance}", str(number)) if count > 1 else program["command"]
        for number in range(count)
    ]
    environment = program.get("environment", {})
    return [Process(split_words(each), program.get("directory"), environment) for each in commands]


def supervisor_processes(file: Path) -> Iterator[tuple[str, str, Any]]:
    """Yield group, name and configuration of what supervisord would run, by its own parser."""
    from supervisor.options import ServerOptions

    options = ServerOptions()
    options.here, options.configfile = str(file.parent), str(file)
    for group in options.read_config(str(file)).process_group_configs:
        for each in group.process_configs:
            yield group.name, each.name, each


def pm2_apps(file: Path, environment: str | None = None) -> dict[str, Any]:
    """Return the apps of a file as pm2 prepares them for its daemon."""
    module = next(peers.FOLDER.glob("pm2@*/node_modules/pm2"), None)
    node = shutil.which("node")
    if module is None or node is None:
        pytest.skip("pm2 is not installed: `make bench` installs it")
    script = """
        const fs = require('fs'), Common = require(process.argv[1] + '/lib/Common.js');
        const [file, result, environment] = process.argv.slice(2);
        const document = Common.parseConfig(fs.readFileSync(file, 'utf8'), file);
        const apps = Common.verifyConfs([].concat(document.apps || document)).map(app => {
          const more = app['env_' + environment] || {};
          const names = [...Object.keys(app.env), ...Object.keys(more), 'PORT'];
          const resolved = Common.resolveAppAttributes({cwd: process.cwd()}, app);
          const merged = Common.mergeEnvironmentVariables(resolved, environment);
          const present = names.filter(name => name in merged);
          const own = Object.fromEntries(present.map(name => [name, merged[name]]));
          return {...resolved, own};
        });
        fs.writeFileSync(result, JSON.stringify(apps));
    """
    with tempfile.NamedTemporaryFile("r") as result:  # what it prints is told to people
        ran = subprocess.run(
            [node, "-e", script, str(module), str(file), result.name, environment or ""],
            cwd=file.parent,
            env={**os.environ, "PM2_PROGRAMMATIC": "true"},
            capture_output=True,
            text=True,
        )
        assert ran.returncode == 0, ran.stderr
        return {app["name"]: app for app in json.load(result)}


def systemd_units(folder: Path, names: list[str]) -> dict[str, dict[str, list[str]]]:
    """Return what systemd makes of units: the keys of its own dump, with their values."""
    places = ("/lib/systemd/systemd", "/usr/lib/systemd/systemd")
    manager = next((path for path in places if Path(path).exists()), None)
    if manager is None:
        pytest.skip("systemd is not installed")
    # As root it takes itself for the first process of the host.
    nobody = ["setpriv", "--reuid", "65534", "--clear-groups"] if os.geteuid() == 0 else []
    with temporary_folder() as home:
        home.chmod(0o777)
        units = shutil.copytree(folder, home / "units", copy_function=shutil.copyfile)
        for each in (units, *units.rglob("*")):
            each.chmod(0o755)
        (units / "all.target").write_text(f"[Unit]\nDefaultDependencies=no\nWants={' '.join(names)}\n")
        ran = subprocess.run(
            [*nobody, manager, "--test", "--user", "--unit=all.target", "--no-pager"],
            cwd="/",
            env={
                "PATH": os.environ["PATH"],
                "HOME": str(home),
                "XDG_RUNTIME_DIR": str(home),
                "SYSTEMD_UNIT_PATH": str(units),
                "SYSTEMD_LOG_TARGET": "console",
            },
            capture_output=True,
            text=True,
            timeout=30,
        )
    if ran.returncode:
        pytest.skip(f"systemd can't dump units here: {ran.stderr[-200:]}")
    return {name: keys for name, keys in _dumped_units(ran.stdout) if name in names}


def _dumped_units(dump: str) -> Iterator[tuple[str, dict[str, list[str]]]]:
    for part in dump.split("-> Unit ")[1:]:
        name, _, text = part.partition(":\n")
        keys: dict[str, list[str]] = {}
        section = ""
        for line in io.StringIO(text):
            key, colon, value = line.strip().partition(": ")
            if line.strip().startswith("-> Exec"):
                section = line.strip()[3:].rstrip(":")
            elif colon:
                keys.setdefault(section if key == "Command Line" else key, []).append(value)
        yield name, keys


def dumped_words(line: str) -> list[str]:
    """Return the words of a command as systemd prints it: quoted for a shell."""
    return [word.replace("\\$", "$") for word in shlex.split(line.replace("\\t", "\t"))]


def user_of(uid: int | None) -> str:
    """Return the name of a user; of none it is the one who calls."""
    return OWN_USER if uid is None else pwd.getpwuid(uid).pw_name
