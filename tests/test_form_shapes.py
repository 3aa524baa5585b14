"""What the form of a program is made of: shapes of JSON, sections, units, suggestions, readable values."""

import os
import pwd
from typing import Any

import pytest
from django.db.models import JSONField

from daemon_programs.admin.forms import ProgramForm, accounts, fieldsets
from daemon_programs.admin.forms.fields import JsonField, json_field
from daemon_programs.admin.forms.shapes import JSON_KINDS, SECRET_WORDS, shape_of
from daemon_programs.admin.forms.units import UNITS, label_of
from daemon_programs.admin.presentation.values import readable
from daemon_programs.models import Program
from daemon_programs.models.fields import FIELD, PROGRAM_FIELDS, Kind, ProgramField
from daemon_programs.supervisor.probes import CONDITIONS, KINDS
from daemon_programs.validators import webhook_config, world

JSON_FIELDS = [field for field in PROGRAM_FIELDS if field.kind in JSON_KINDS]
SHAPES = {"text", "number", "boolean", "choice", "fixed", "set", "list", "map", "object", "variants"}


def within(shape: dict[str, Any]) -> list[dict[str, Any]]:
    """A shape and all shapes within it."""
    inner = [shape[key] for key in ("item", "value") if isinstance(shape.get(key), dict)]
    inner += list(shape.get("fields", {}).values())
    inner += [{"kind": "object", **variant} for variant in shape.get("variants", [])]
    return [shape, *(each for one in inner for each in within(one))]


def test_each_column_of_json_is_shown_as_rows() -> None:
    columns = {each.name for each in Program._meta.concrete_fields if isinstance(each, JSONField)}
    assert columns == {field.name for field in JSON_FIELDS}


@pytest.mark.parametrize("field", JSON_FIELDS, ids=lambda field: field.name)
def test_each_field_of_json_has_a_shape(field: ProgramField) -> None:
    kinds = {each["kind"] for each in within(shape_of(field))}
    assert kinds <= SHAPES
    assert json_field(field.name).widget.attrs["data-rows"]


def test_field_of_json_without_a_schema_is_a_mistake() -> None:
    with pytest.raises(ValueError, match="'new' has no schema"):
        shape_of(ProgramField("new", Kind.JSON, "", example={}))


def test_shape_of_the_environment_hides_secrets_and_allows_line_breaks() -> None:
    assert shape_of(FIELD["environment"]) == {
        "kind": "map",
        "value": {"kind": "text", "lines": True},
        "secrets": SECRET_WORDS,
    }


def test_shape_of_labels_is_a_map_without_line_breaks_and_secrets() -> None:
    assert shape_of(FIELD["labels"]) == {"kind": "map", "value": {"kind": "text"}}


def test_shape_of_limits_names_the_resources_and_the_word() -> None:
    shape = shape_of(FIELD["limits"])
    assert shape == {
        "kind": "map",
        "names": list(world.LIMITS),
        "value": {"kind": "number", "words": [world.UNLIMITED]},
    }


def test_shape_of_dependencies_has_suggestions_and_the_conditions() -> None:
    fields = shape_of(FIELD["depends_on"])["item"]["fields"]
    assert fields["program"]["suggestions"] == "/admin/daemon_programs/program/names/"
    assert fields["condition"]["choices"] == list(CONDITIONS)
    assert fields["condition"]["default"] == CONDITIONS[0]


def test_shape_of_commands_takes_a_text_for_an_object() -> None:
    item = shape_of(FIELD["before_start"])["item"]
    assert item["short"] == "command"
    assert item["fields"]["timeout"]["default"] == 60


def test_shapes_of_probes_are_the_kinds_of_probes() -> None:
    titles = {
        name: [each["title"] for each in shape_of(FIELD[name])["variants"]] for name in ("ready", "health")
    }
    assert titles == {"ready": list(KINDS), "health": [kind for kind in KINDS if kind != "log"]}


def test_shape_of_a_reload_is_one_of_two_objects() -> None:
    assert [each["title"] for each in shape_of(FIELD["reload"])["variants"]] == ["signal", "command"]


def test_shape_of_webhooks_has_all_keys_and_the_events_as_choices() -> None:
    shape = shape_of(FIELD["webhooks"])
    assert list(shape["fields"]) == list(webhook_config.DEFAULTS)
    assert shape["fields"]["events"]["choices"] == webhook_config.EVENTS
    assert shape["fields"]["headers"]["secrets"] == SECRET_WORDS


# The form


def test_form_begins_with_what_matters_first() -> None:
    (heading, first), *others = fieldsets(None)
    assert heading is None
    assert first["fields"] == ["name", "command", "user", "directory", "environment", "description"]
    assert [heading for heading, options in others if "collapse" not in options["classes"]] == [
        "When it runs"
    ]


def test_form_for_reading_has_the_same_fields() -> None:
    program = Program(name="p", command="true", user="root", stop_grace_seconds=7)
    shown = {
        getattr(each, "__name__", each): each
        for _, options in fieldsets(program, read_only=True)
        for each in options["fields"]
    }
    assert set(shown) == {name for _, options in fieldsets(program) for name in options["fields"]}
    assert shown["stop_grace_seconds"](program) == "7 seconds"
    assert shown["memory_limit_bytes"](program) == "-"
    assert shown["exit_codes"](program) == "0"


def test_quantities_have_their_unit_beside_them() -> None:
    assert {UNITS[name] for name in ("delay_seconds", "log_max_bytes")} == {"seconds", "bytes"}
    assert label_of("restart_delay_max_seconds") == "Restart delay max"
    assert label_of("start_seconds") == "Running after"
    form: Any = ProgramForm
    assert form.Meta.labels.keys() <= form.Meta.widgets.keys()
    assert str(form.Meta.widgets["delay_seconds"].render("delay_seconds", 5)).endswith("> seconds</span>")


def test_unset_choice_is_called_automatic() -> None:
    widget: Any = ProgramForm.Meta.widgets["terminal_interactive"]
    assert [label for _, label in widget().choices] == ["automatic", "yes", "no"]


def test_field_for_other_forms_takes_what_the_program_takes() -> None:
    field = json_field("before_start")
    assert isinstance(field, JsonField)
    assert field.clean('["true"]') == ["true"]
    assert field.clean("") is None


# Suggestions of users


def test_users_are_those_of_the_allow_list(settings: Any) -> None:
    settings.ALLOWED_USERS = ["web", "app"]
    assert accounts.account_names() == ["app", "web"]


def test_without_root_the_only_user_is_ones_own(monkeypatch: pytest.MonkeyPatch) -> None:
    own = os.geteuid() or pwd.getpwnam("nobody").pw_uid
    monkeypatch.setattr(os, "geteuid", lambda: own)
    assert accounts.account_names() == [pwd.getpwuid(own).pw_name]


def test_users_can_log_in_or_own_a_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(accounts, "_owners_of_processes", lambda: {7})
    known = [
        account("person", 1000, "/bin/bash"),
        account("mail", 8, "/usr/sbin/nologin"),
        account("owner", 7, "/bin/false"),
    ]
    monkeypatch.setattr(pwd, "getpwall", lambda: known)
    assert accounts.account_names() == ["owner", "person"]
    monkeypatch.setattr(pwd, "getpwall", lambda: [account(f"u{n}", n, "/bin/sh") for n in range(1000)])
    assert len(accounts.account_names()) == accounts.MOST_NAMES


def account(name: str, uid: int, shell: str) -> pwd.struct_passwd:
    return pwd.struct_passwd((name, "x", uid, uid, "", "/", shell))


def test_owners_of_processes_are_found() -> None:
    assert os.getuid() in accounts._owners_of_processes()


# Values as they are read


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (None, '<span class="quiet">none</span>'),
        ({}, '<span class="quiet">none</span>'),
        ([], '<span class="quiet">none</span>'),
        ([0, 143], "0, 143"),
        (True, "yes"),
        (0, "0"),
        ("", ""),
        ("<b>\n", "&lt;b&gt;\n"),
        (["a", "b"], '<ul class="readable"><li>a</li><li>b</li></ul>'),
    ],
)
def test_value_is_readable(value: Any, shown: str) -> None:
    assert readable("any", value) == shown


def test_secrets_are_folded_where_values_may_be_secret() -> None:
    folded = "<td><details><summary>show</summary><div>x</div></details></td>"
    assert folded in readable("environment", {"my_api_token": "x"})
    assert folded in readable("webhooks", {"headers": {"Authorization": "x"}})
    assert "<details>" not in readable("environment", {"HOME": "/"})
    assert "<details>" not in readable("labels", {"key": "x"})
