"""Run management commands in forks of one process that has loaded what they need.

Most of what `manage.py shell` costs is imports. What depends on the environment, Django's settings and all
that reads them, is loaded in the fork.
"""

import multiprocessing
import os
import sys
import tempfile
from pathlib import Path
from subprocess import CompletedProcess

LOADED = (
    "asyncio",
    "django.core.mail",
    "django.core.management.commands.shell",
    "django.db.backends.sqlite3.base",
    "django.db.models",
    "django.template.engine",
    "environs",
    "prometheus_client",
    "psutil",
    "sqlparse",
    "supervisor.xmlrpc",
    "urllib3",
)

_forks = multiprocessing.get_context("forkserver")
_forks.set_forkserver_preload(list(LOADED))


def run(environment: dict[str, str], folder: Path, *arguments: str) -> CompletedProcess[str]:
    """What ``manage.py`` would do in this environment, and in this folder."""
    with tempfile.TemporaryDirectory() as printed:
        process = _forks.Process(target=_manage, args=(environment, folder, arguments, printed))
        process.start()
        process.join(120)
        if process.exitcode is None:
            process.kill()
            process.join()
        out, err = (Path(printed, name).read_text() for name in ("1", "2"))
        assert process.exitcode is not None
        return CompletedProcess(arguments, process.exitcode, out, err)


def _manage(environment: dict[str, str], folder: Path, arguments: tuple[str, ...], printed: str) -> None:
    for stream in (1, 2):
        file = os.open(f"{printed}/{stream}", os.O_WRONLY | os.O_CREAT)
        os.dup2(file, stream)
        os.close(file)
    os.environ.clear()
    os.environ.update(environment, DJANGO_SETTINGS_MODULE="hoody_site.settings")
    os.chdir(folder)
    sys.argv = ["manage.py", *arguments]
    from django.core.management import execute_from_command_line

    execute_from_command_line(sys.argv)
