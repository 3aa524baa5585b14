"""The preflight check: whether a program could be run at the moment.

Its user, folders and command existed when it was saved, but may have been removed since.
"""

import os
import pwd
from collections.abc import Callable, Iterator
from functools import partial

from django.core.exceptions import ValidationError

from daemon_programs.models import SupervisedProgram
from daemon_programs.supervisor.filesystem import search_path
from daemon_programs.supervisor.instances import KINDS
from daemon_programs.validators import rules, world

# What a row can raise that was changed in the database without validation.
INVALID_ROW_ERRORS = (ValueError, TypeError, LookupError, AttributeError)


def problem(program: SupervisedProgram) -> str | None:
    """Return why a start would fail, as a sentence without its full stop; None if nothing is known to."""
    try:
        for check in _checks(program):
            check()
    except ValidationError as error:
        return str(error.messages[0])
    except OSError as error:
        return f"it can't be looked at: {error}"
    except INVALID_ROW_ERRORS as error:
        return f"what is stored of it can't be understood ({type(error).__name__})"
    return None


def _checks(program: SupervisedProgram) -> Iterator[Callable[[], None]]:
    yield partial(rules.check_user, program.user)
    if program.directory:
        yield partial(rules.check_directory, program.directory)
        yield partial(rules.check_existing_directory, program.user, program.directory)
    yield partial(_check_command, program)
    yield partial(world.check_nice, program.nice)
    for file in program.env_files:
        yield partial(_check_env_file, program, file)
    if program.logs_enabled:
        yield partial(rules.check_stdout_logfile, program.log_path("stdout"))
        yield partial(rules.check_stderr_logfile, program.log_path("stderr"))


def _check_env_file(program: SupervisedProgram, file: str) -> None:
    """Look for a file of variables, as far as that may be told. Whether it can be read shows at the start."""
    if not file.startswith("-") and rules.may_see(program.user, file) and not os.path.exists(file):
        raise ValidationError(f"env_file '{file}' does not exist")


def _check_command(program: SupervisedProgram) -> None:
    """Look for the command as `plugin.launch` does. One whose name has a placeholder is not checked."""
    specification = program.specification()
    first = specification.before_start[0]["argv"] if specification.before_start else specification.argv
    command = first[0]  # of a start: it may make what the following ones need
    if any(kind.placeholder in command for kind in KINDS):
        return
    path = program.environment.get("PATH") or search_path.inherited(program.user)
    folders = [program.directory or pwd.getpwnam(program.user).pw_dir] if "/" in command else path.split(":")
    files = [os.path.join(folder, command) for folder in folders]
    seen = [file for file in files if rules.may_see(program.user, file)]
    if not any(os.path.isfile(file) and ("/" in command or os.access(file, os.X_OK)) for file in seen):
        raise ValidationError(f"command not found: {command}")
    if "/" in command and not os.access(seen[0], os.X_OK):
        raise ValidationError(f"command is not executable: {command}")
