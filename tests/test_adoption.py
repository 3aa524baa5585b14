"""The first start of a stack: the shipped examples, or a ``programs.json`` that is there already."""

import json
from typing import Any

import pytest

from tests.program_sets import document, done, failed, mirrored, names, stored, write
from tests.stack import Stack


@pytest.fixture
def unborn(own_stack: Stack) -> Stack:
    """A stack before its first start, with a state folder to put something into."""
    own_stack.folder.mkdir(mode=0o700)
    return own_stack


@pytest.mark.parametrize("wrapped", [True, False], ids=["object", "bare list"])
def test_programs_file_is_adopted_on_the_first_start(unborn: Stack, wrapped: bool) -> None:
    programs = [
        document(3, "web", boot=True, environment={"SITE": "ü"}),
        document(9, "ports", port_range={"start": 64000, "end": 64001}, lazy_load=True),
        document(12, "off", enabled=False),
    ]
    file = unborn.folder / "programs.json"
    file.write_text(json.dumps({"programs": programs} if wrapped else programs), encoding="utf-8")
    unborn.prepare()
    assert stored(unborn) == {3: "web", 9: "ports", 12: "off"}
    [adopted] = [each for each in json.loads(file.read_text())["programs"] if each["id"] == 9]
    assert adopted == {**adopted, **programs[1], "port_param": "--port"}
    # `reset` goes back to the shipped examples all the same
    defaults = json.loads((unborn.folder / "programs.default.json").read_text())["programs"]
    assert "web" not in [program["name"] for program in defaults]


def test_without_one_the_examples_are_loaded(unborn: Stack) -> None:
    unborn.prepare()
    mirror = (unborn.folder / "programs.json").read_bytes()
    assert (unborn.folder / "programs.default.json").read_bytes() == mirror
    programs = json.loads(mirror)["programs"]
    assert stored(unborn) == {program["id"]: program["name"] for program in programs} != {}
    assert {program["enabled"] for program in programs} == {False}


def test_later_starts_adopt_nothing(unborn: Stack) -> None:
    unborn.prepare()
    file = unborn.folder / "programs.json"
    before = file.read_bytes()
    write(file, document(700, "of another one"))
    unborn.prepare()
    assert 700 not in stored(unborn)
    assert file.read_bytes() == before


WRONG = {
    "cut": ("{", "can't be read: "),
    "number": ("5", "holds no list of programs"),
    "user": (json.dumps([document(1, "x", user="no-such-user")]), 'User "no-such-user" does not exist'),
    "ids": (json.dumps([document(1, "x"), document(1, "y")]), "the ID 1 is in the file twice"),
}


@pytest.mark.parametrize(("content", "sentence"), WRONG.values(), ids=WRONG)
def test_file_that_can_not_be_adopted_refuses_the_start(unborn: Stack, content: str, sentence: str) -> None:
    file = unborn.folder / "programs.json"
    file.write_text(content)
    for _ in range(2):  # and the next one too
        refusal = failed(unborn, "run_stack")
        assert refusal.startswith("The programs can't be loaded: ")
        assert sentence in refusal
        assert file.read_text() == content
    assert not (unborn.folder / "api-token").exists()
    assert unborn.processes() == []


def test_file_can_be_looked_into_and_mended_before_the_next_try(unborn: Stack) -> None:
    file = write(unborn.folder / "programs.json", document(3, "web", priority=0))
    failed(unborn, "run_stack")
    wrong: dict[str, Any] = json.loads(file.read_text())
    assert json.loads(done(unborn, "export_programs")) == {"programs": []}
    assert failed(unborn, "import_programs", "--dry-run", file).startswith("Program 'web': Field 'priority'")
    assert json.loads(file.read_text()) == wrong
    write(file, document(3, "web", priority=1, boot=True))
    assert done(unborn, "import_programs", "--dry-run", file) == "add    'web' (3)\n"
    api = unborn.start().api
    assert names(api) == {3: "web"}
    api.until(3, "running")
    mirrored(unborn)
