"""What keeps a program from being run as it is: something outside has gone since it was registered."""

import os
import pwd
import shutil
from collections.abc import Callable, Iterator
from functools import partial

from django.core.exceptions import ValidationError

from daemon_programs.models import SupervisedProgram
from daemon_programs.supervisor.spec import PORT
from daemon_programs.validators import rules

# What comes of a row that somebody has changed behind our back.
BROKEN = (ValueError, TypeError, LookupError, AttributeError)


def obstacle(program: SupervisedProgram) -> str | None:
    """Why a start would fail, as a sentence; None if nothing is in the way."""
    try:
        for check in _checks(program):
            check()
    except ValidationError as problem:
        return str(problem.messages[0])
    except OSError as problem:
        return f"it can't be looked at: {problem}"
    except BROKEN as problem:
        return f"what is stored of it can't be understood ({type(problem).__name__})"
    return None


def _checks(program: SupervisedProgram) -> Iterator[Callable[[], None]]:
    yield partial(rules.check_user, program.user)
    if program.directory:
        yield partial(rules.check_directory, program.directory)
    yield partial(_check_command, program)
    if program.logs_enabled:
        yield partial(rules.check_stdout_logfile, program.log_path("stdout"))
        yield partial(rules.check_stderr_logfile, program.log_path("stderr"))


def _check_command(program: SupervisedProgram) -> None:
    """As `plugin.launch` looks for it; a port may be a part of its name, so that it can't be said."""
    command = program.specification().argv[0]
    if PORT in command:
        return
    path = program.environment.get("PATH") or os.environ.get("PATH") or os.defpath
    file = os.path.join(program.directory or pwd.getpwnam(program.user).pw_dir, command)
    if not (os.path.isfile(file) if "/" in command else shutil.which(command, path=path)):
        raise ValidationError(f"command not found: {command}")
    if "/" in command and not os.access(file, os.X_OK):
        raise ValidationError(f"command is not executable: {command}")
