"""The one list of a program's fields agrees with the model, the specification, and all that is derived."""

from dataclasses import asdict
from typing import Any

import pytest
from django.core.exceptions import ValidationError

from daemon_programs.admin.forms import fieldsets
from daemon_programs.api.openapi import responses
from daemon_programs.models import Program
from daemon_programs.models.fields import (
    PROGRAM_FIELDS,
    TEMPORARY_FIELDS,
    WRITABLE_FIELDS,
    Kind,
    ProgramField,
)
from daemon_programs.serializers.program import ProgramSerializer
from daemon_programs.serializers.representation import program_document
from daemon_programs.supervisor.spec import WITHOUT_RESTART
from quick_start.models import EphemeralProgram
from quick_start.serializers import LaunchSerializer
from tests.stack import OWN_USER

NEEDS: dict[str, dict[str, Any]] = {  # what a field can't be set without
    "port_param": {"port_range": {"start": 9000, "end": 9001}},
    "lazy_load": {"boot": False},
    "terminal_shell": {"terminal_id": 7},
    "terminal_interactive": {"terminal_id": 7},
}
OTHERS: dict[str, Any] = {  # another value than the default, where the example can't be had here
    "enabled": False,
    "logs_enabled": False,
    "user": OWN_USER,
    "directory": "/tmp",
    "autorestart": "true",
    "log_max_bytes": 1000,
    "log_backups": 3,
    "lazy_load": True,
    "port_param": "-p",
    "terminal_shell": "sh",
    "terminal_interactive": True,
    "stdout_logfile": "/tmp/fields/out.log",
    "stderr_logfile": "/tmp/fields/err.log",
}

of_each_field = pytest.mark.parametrize("field", WRITABLE_FIELDS, ids=lambda field: field.name)


def program(**fields: Any) -> Program:
    """Return a program as a client would describe it."""
    serializer = ProgramSerializer(data={"name": "p", "command": "true", "user": OWN_USER, **fields})
    serializer.is_valid(raise_exception=True)
    return Program(id=1, **serializer.validated_data)


def what_runs(program: Program) -> dict[str, Any]:
    whole = asdict(program.specification())
    return {name: value for name, value in whole.items() if name not in WITHOUT_RESTART}


def test_the_list_and_the_model_have_the_same_fields() -> None:
    listed = [name for field in PROGRAM_FIELDS for name in field.model_columns]
    assert sorted(listed) == sorted({field.name for field in Program._meta.concrete_fields} - {"id"})


def test_the_list_and_temporary_programs_have_the_same_fields() -> None:
    own = {"id", "temporary_id", "ttl", "created_at", "ended_at", "final_status"}
    own |= {"exit_code", "signal", "error"}
    listed = [name for field in TEMPORARY_FIELDS for name in field.model_columns]
    assert sorted(listed) == sorted({field.name for field in EphemeralProgram._meta.concrete_fields} - own)


@of_each_field
def test_defaults_and_limits_are_those_of_the_model(field: ProgramField) -> None:
    column: Any = Program._meta.get_field(field.model_columns[0])
    if field.default is not None:
        assert column.get_default() == field.default
    if field.limits:
        for value in (field.limits[0] - 1, field.limits[1] + 1):
            with pytest.raises(ValidationError):
                column.run_validators(value)
        for value in field.limits:
            column.run_validators(value)
    assert field.is_always_shown or field.hides_default or column.null or column.get_default() in ("", None)


@of_each_field
def test_each_field_is_taken_shown_and_documented(field: ProgramField) -> None:
    body = {**NEEDS.get(field.name, {}), field.name: field.example}
    document = program_document(program(**body))
    if field.kind is Kind.WEBHOOKS:
        assert document[field.name] == field.example
    else:
        assert document[field.name] == body[field.name]
    assert field.name in responses.Program().fields
    assert field.name in ProgramSerializer().fields
    assert (field.name in LaunchSerializer().fields) is field.temporary
    shown = [name for _, options in fieldsets(None) for name in options["fields"]]
    assert set(field.model_columns) <= set(shown)


@of_each_field
def test_a_field_that_is_not_set_is_shown_only_if_it_has_a_default(field: ProgramField) -> None:
    assert (field.name in program_document(program())) is field.is_always_shown


@of_each_field
def test_what_restarts_is_what_supervisord_would_run_differently(field: ProgramField) -> None:
    needs = NEEDS.get(field.name, {})
    changed = program(**{"boot": False, **needs, field.name: OTHERS.get(field.name, field.example)})
    before = program(**{"boot": False, **needs})
    if field.name in ("user", "command", "autorestart"):  # of which only what is there can be named here
        key = {"command": "argv"}.get(field.name, field.name)
        assert field.restarts is (key not in WITHOUT_RESTART)
        return
    assert (what_runs(changed) != what_runs(before)) is field.restarts
