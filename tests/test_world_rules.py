"""The rules of what surrounds a process, and of labels, each with its sentence, for add and edit."""

import os
from typing import Any

import pytest
from django.core.exceptions import ValidationError

from daemon_programs.models import Program
from daemon_programs.validators import world
from tests.processes import LONG_RUNNING
from tests.stack import OTHER_USER, OWN_USER, Api, Stack
from tests.temporary_programs import Quick

UMASK = "Field 'umask' must be three octal digits, such as \"022\""
LIMITS = "Field 'limits' must be an object that maps resources to limits"
RESOURCES = "nofile, nproc, core, as, cpu, fsize, stack, memlock"
WORD_RULE = "at most 63 letters, digits, '-', '_' and '.', a letter or digit first and last"
KEY_RULE = f"{WORD_RULE}; a domain and '/' may precede"
PATHS = "Field 'env_file' must be a path or a list of paths"
NO_PATH = "Field 'env_file' must have neither empty paths nor paths with line breaks"

REFUSED: list[tuple[dict[str, Any], str]] = [
    *[({"umask": value}, UMASK)
      for value in ("", "22", "1022", "00022", "088", "u=rwx", "0o22", " 022", "022\n", "٠٢٢")],
    *[({"umask": value}, "Field 'umask' must be a string") for value in (22, None, ["022"])],
    *[({"nice": value}, "Field 'nice' must be between -20 and 19") for value in (-21, 20)],
    *[({"nice": value}, "Field 'nice' must be an integer") for value in ("5", 5.0, None, True)],
    *[({"limits": value}, LIMITS) for value in ([], "", 0, False, "nofile=5", [["nofile", 5]])],
    *[({"limits": {name: 5}}, f"Field 'limits' has an unknown resource: '{name}' (it can have {RESOURCES})")
      for name in ("msgqueue", "NOFILE", "", "no file")],
    *[({"limits": {"core": 0, "nofile": value}},
       "Field 'limits': 'nofile' must be an integer between 0 and 9007199254740991, or \"unlimited\"")
      for value in (-1, 2**53, 5.0, "5", "infinity", None, True, [5])],
    *[({"env_file": value}, PATHS) for value in (5, {}, True, ["/a", 5], [["/a"]])],
    *[({"env_file": value}, NO_PATH) for value in ([""], ["/a", ""], "/a\n/b", ["/a\n"])],
    *[({"env_file": value}, "Field 'env_file' must be an absolute path")
      for value in ("a.env", "-a.env", "-", "--/a", "~/a", ["/a", "a"])],
    *[({"env_file": value}, "Field 'env_file' must not contain control characters")
      for value in ("/a\tb", "/a\x85")],
    ({"env_file": "/a\0"}, "Field 'env_file' must not contain NUL characters"),
    ({"env_file": "/\ud800"}, "Field 'env_file' must be valid Unicode text"),
    ({"env_file": "/etc/"}, "Field 'env_file' must name files: '/etc/' is a folder"),
    ({"env_file": "/" + "x" * 256}, "Field 'env_file' must be a path that the system can have"),
    ({"env_file": ["/a"] * 17}, "Field 'env_file' must not name more than 16 files"),
    *[({field: value}, f"Field '{field}' must be true or false")
      for field in ("redirect_stderr", "log_timestamps") for value in ("true", 1, None)],
    ({"log_timestamps": True, "terminal_id": 4100},
     "Field 'log_timestamps' can't be combined with terminal_id"),
    *[({"labels": value}, "Field 'labels' must be an object that maps keys to strings")
      for value in ([], "", 0, "team=web", ["team"])],
    ({"labels": {f"k{n}": "" for n in range(33)}}, "Field 'labels' must not have more than 32 labels"),
    *[({"labels": {key: "x"}}, f"Field 'labels' has a key that is not allowed: '{key}' ({KEY_RULE})")
      for key in ("", "-a", "a-", "a b", "ä", "a=b", "/a", "a/", "a/b/c", "A.example/b", "a..b/c", "x" * 64)],
    *[({"labels": {"team": value}},
       f"Field 'labels' has a value that is not allowed: that of 'team' must be text of {WORD_RULE}")
      for value in (5, None, True, "a b", "-a", "a.", "ü", "x" * 64, "a\n", ["a"])],
]  # fmt: skip

KEPT: list[dict[str, Any]] = [
    {"umask": "077"},
    {"umask": "777"},
    {"nice": 19},
    {"nice": 1},
    {"limits": {"nofile": 0, "core": "unlimited", "as": 2**53 - 1}},
    {"limits": dict.fromkeys(RESOURCES.split(", "), 4096)},
    {"env_file": "/etc/ü \u2028.env"},
    {"env_file": "-/etc/none.env"},
    {"env_file": ["/etc/a.env", "-/etc/-b.env"]},
    {"redirect_stderr": True},
    {"log_timestamps": True},
    {"labels": {"team": "web", "app.kubernetes.io/name": "a.b_c-D", "empty": "", "1": "2"}},
    {"labels": {"x" * 63: "y" * 63, "a" * 253 + "/b": "c"}},
]


def ids(cases: list[Any]) -> list[str]:
    fields = [case[0] if isinstance(case, tuple) else case for case in cases]
    return [f"{number}-{'-'.join(names)}" for number, names in enumerate(fields)]


@pytest.mark.parametrize(("fields", "sentence"), REFUSED, ids=ids(REFUSED))
def test_value_against_a_rule_is_refused(api: Api, fields: dict[str, Any], sentence: str) -> None:
    assert (
        api.refused("programs/add", {"name": "x", "command": LONG_RUNNING, "user": OWN_USER, **fields})
        == sentence
    )
    id = api.add(enabled=False)
    before = api.get(f"programs/{id}").text
    assert api.refused(f"programs/edit/{id}", fields) == sentence
    assert api.get(f"programs/{id}").text == before


@pytest.mark.parametrize("fields", KEPT, ids=ids(KEPT))
def test_value_within_the_rules_is_kept_as_it_is(api: Api, fields: dict[str, Any]) -> None:
    added = api.get(f"programs/{api.add(enabled=False, **fields)}").json()["program"]
    assert added == {**added, **fields}
    id = api.add(enabled=False)
    edited = api.ok(f"programs/edit/{id}", fields)["program"]
    assert edited == {**edited, **fields}


CLEARED: list[tuple[str, Any, list[Any]]] = [
    ("env_file", "/etc/a.env", [None, "", []]),
    ("umask", "077", ["022", "0022"]),
    ("nice", 5, [0]),
    ("limits", {"nofile": 5}, [None, {}]),
    ("redirect_stderr", True, [False]),
    ("log_timestamps", True, [False]),
    ("labels", {"a": "b"}, [None, {}]),
]


@pytest.mark.parametrize(("field", "value", "empty"), CLEARED, ids=[case[0] for case in CLEARED])
def test_field_with_its_default_is_left_out(api: Api, field: str, value: Any, empty: list[Any]) -> None:
    for default in empty:
        id = api.add(enabled=False, **{field: value})
        assert field not in api.ok(f"programs/edit/{id}", {field: default})["program"]
        assert field not in api.get(f"programs/{id}").json()["program"]
        added = api.get(f"programs/{api.add(enabled=False, **{field: default})}").json()["program"]
        assert field not in added


def test_values_have_one_form(api: Api) -> None:
    id = api.add(enabled=False, umask="0027", env_file=["/etc/a.env"])
    program = api.get(f"programs/{id}").json()["program"]
    assert program["umask"] == "027"
    assert program["env_file"] == "/etc/a.env"


def test_temporary_programs_have_no_labels(quick: Quick) -> None:
    body = {"command": "true", "user": OWN_USER, "labels": {"team": "web"}}
    assert quick.api.refused("quick-start", body) == "Unknown field 'labels'"


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"umask": "9"}, UMASK),
        ({"limits": []}, LIMITS),
        ({"env_file": "a"}, "Field 'env_file' must be an absolute path"),
        ({"nice": 20}, "Field 'nice' must be between -20 and 19"),
    ],
)
def test_temporary_programs_have_the_same_rules(quick: Quick, fields: dict[str, Any], sentence: str) -> None:
    assert quick.api.refused("quick-start", {"command": "true", "user": OWN_USER, **fields}) == sentence


def test_only_root_may_give_a_process_more_than_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    world.check_nice(-20)
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    world.check_nice(0)
    with pytest.raises(ValidationError) as refusal:
        world.check_nice(-1)
    assert refusal.value.messages == ["Field 'nice' must not be negative: the daemon does not run as root"]


@pytest.mark.django_db
def test_stored_priority_that_needs_root_does_not_keep_other_fields(monkeypatch: pytest.MonkeyPatch) -> None:
    """A state folder may be taken over by a stack that doesn't run as root."""
    program = Program(name="a", command="true", user=OWN_USER, nice=-5, enabled=False)
    Program.objects.bulk_create([program])

    def refuse(nice: int) -> None:
        raise ValidationError("Field 'nice' must not be negative", "vanished")

    monkeypatch.setattr(world, "check_nice", refuse)
    program.description = "changed"
    program.full_clean()
    program.nice = -6
    with pytest.raises(ValidationError) as refusal:
        program.full_clean()
    assert refusal.value.message_dict == {"nice": ["Field 'nice' must not be negative"]}


def test_missing_file_of_variables_is_a_problem(api: Api) -> None:
    program = api.add(env_file=["-/none/a.env", "/none/b.env"])
    assert api.status(program)["problem"] == "env_file '/none/b.env' does not exist"
    assert "problem" not in api.status(api.add(env_file="-/none/a.env"))


def test_problem_tells_no_more_than_the_user_may_see(own_stack: Stack) -> None:
    own_stack.environment["DAEMON_ALLOWED_USERS"] = f"{OWN_USER},{OTHER_USER}"
    api = own_stack.start().api
    user = OTHER_USER if os.geteuid() == 0 else OWN_USER
    seen = api.add(user=user, directory="/", env_file="/none.env")
    unseen = api.add(user=user, directory="/", env_file=str(own_stack.folder / "none.env"))
    assert api.status(seen)["problem"] == "env_file '/none.env' does not exist"
    assert ("problem" in api.status(unseen)) is (user == OWN_USER)
