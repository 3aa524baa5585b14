"""Run management commands in forks of one process that has loaded what they need.

Most of what a command costs is imports. What depends on the environment, Django's settings and all that reads
them, is loaded in the fork. There `manage.py` itself is called, so a command does what it does for people.
"""

import multiprocessing
import os
import sys
import tempfile
from pathlib import Path
from subprocess import CompletedProcess

LOADED = (
    "asyncio",
    "django.contrib.admin.options",
    "django.contrib.auth.hashers",
    "django.contrib.auth.management",
    "django.contrib.auth.password_validation",
    "django.core.mail",
    "django.core.management.commands.migrate",
    "django.core.management.commands.shell",
    "django.db.backends.sqlite3.base",
    "django.db.models",
    "django.template.engine",
    "django.views.debug",
    "environs",
    "picklefield",
    "prometheus_client",
    "psutil",
    "rest_framework.serializers",
    "sqlparse",
    "standardwebhooks",
    "supervisor.xmlrpc",
    "tarfile",
    "urllib3",
)

_forks = multiprocessing.get_context("forkserver")
_forks.set_forkserver_preload(list(LOADED))


def run(environment: dict[str, str], folder: Path, *arguments: str) -> CompletedProcess[str]:
    """Call ``manage.py`` in this environment, in the project's folder."""
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
    os.environ.update(environment)
    os.chdir(folder)
    sys.argv = ["manage.py", *arguments]
    from manage import main

    main()
