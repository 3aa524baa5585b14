"""Which processes of a program a request is about, and what errors call them."""

from daemon_programs.exceptions import Refused
from daemon_programs.models import Program
from daemon_programs.supervisor.instances import Key, Keys

# Verbs that would do much harm if a key was forgotten, and that name `all` in their sentence.
_NEEDS_TARGET = ("stop", "signal", "reload")


def select_processes(program: Program, key: Key | None, all_instances: bool, *, verb: str) -> list[str]:
    """Return supervisord's names of the processes that a request is about.

    A program with one process ignores ``all_instances``. Raise Refused if ``key`` and ``all_instances`` don't
    fit together, or don't fit the program.
    """
    if key is not None and all_instances:
        raise Refused(f"{key.kind.title} parameter and all: true can't be combined")
    if key is not None:
        return [check_key(program, key).process]
    keys = program.keys
    if keys is None:
        return [program.group]
    if all_instances:
        return [each.process for each in keys]
    if verb in _NEEDS_TARGET:
        raise Refused(
            f'{keys.kind.title} parameter or "all: true" required to {verb} '
            f"{keys.kind.programs} program instances"
        )
    raise _missing_key(keys)


def require_key(program: Program, key: Key | None) -> Key | None:
    """Return the key of an instance, or None for a program with one process.

    Raise Refused if it is missing, or not one of the program's.
    """
    if key is not None:
        return check_key(program, key)
    if program.keys is not None:
        raise _missing_key(program.keys)
    return None


def check_key(program: Program, key: Key) -> Key:
    """Return the key; raise Refused if it is not one of the program's."""
    keys = program.keys
    if keys is None or key.kind is not keys.kind:
        raise Refused(f"Program with ID {program.pk} has no {key.kind.what}")
    if key not in keys:
        raise Refused(f"{key.kind.title} {key.value} is outside valid range [{keys.first}-{keys.last}]")
    return key


def label(program: Program, key: Key | None) -> str:
    """Return what error messages call the program, or one of its instances."""
    return f"Program with ID {program.pk}" if key is None else f"Instance {program.instance_name(key)}"


def _missing_key(keys: Keys) -> Refused:
    return Refused(
        f"{keys.kind.title} parameter required for {keys.kind.programs} programs. "
        f"Available range: {keys.first}-{keys.last}"
    )
