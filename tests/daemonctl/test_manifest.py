"""Files of programs: what is read from them, what is an error of which line, and that both ways agree."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from daemonctl.manifest.read import parse, read
from daemonctl.manifest.write import escaped, to_yaml
from daemonctl.problems import Problem

VARIABLES = {"PORT": "8000", "NAME": "shop", "EMPTY": "", "TRAP": "${NAME}"}
# What YAML itself can carry: the API refuses most of the others.
_TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"))
_NUMBERS = st.integers(-(10**6), 10**6)
_VALUES = st.recursive(
    st.none() | st.booleans() | _NUMBERS | _TEXTS | st.text("$${}<=~ABc:-#&*!|>%@'\"[],.\n 0123456789yesnof"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_TEXTS, inner, max_size=3),
    max_leaves=8,
)


def programs(text: str, **variables: str) -> Any:
    return parse(text, variables or VARIABLES)["programs"]


def program(fields: str) -> Any:
    (only,) = programs(f"programs:\n  - name: a\n    {fields}\n")
    return only


def problem(text: str) -> str:
    with pytest.raises(Problem) as caught:
        parse(text, VARIABLES, name="f.yaml")
    return caught.value.message


@settings(max_examples=60, deadline=None)
@given(value=_VALUES)
def test_what_is_written_is_read(value: Any) -> None:
    document = {"programs": [{"name": "a", "value": value}, {"name": value}]}
    assert parse(to_yaml(document), {}) == document


@settings(max_examples=60, deadline=None)
@given(value=_VALUES)
def test_json_is_read_as_json(value: Any) -> None:
    for options in ({"indent": "\t"}, {"ensure_ascii": False}):
        text = json.dumps(escaped({"programs": value}), **options)
        assert parse(text, {}) == {"programs": value}


def test_programs_stand_apart() -> None:
    text = to_yaml(
        {"set": "shop", "programs": [{"name": "a", "command": "b\n\nprograms:\n\n  - name: c"}] * 2}
    )
    assert text.startswith("set: shop\nprograms:\n  - name: a\n")
    assert "\n\n  - name: a\n" in text


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("${NAME}", "shop"),
        ("a-${NAME}-b", "a-shop-b"),
        ("${NONE:-x y}", "x y"),
        ("${EMPTY:-x}", "x"),
        ("'${NONE:-}'", ""),
        ("${PORT}", 8000),
        ("'${PORT}'", "8000"),
        ("${NONE:-true}", True),
        ("${TRAP}", "${NAME}"),
        ("$$${NAME}", "$shop"),
        ("sh -c 'echo $HOME $0 $$'", "sh -c 'echo $HOME $0 $'"),
        ("$${NAME}", "${NAME}"),
        ("2024-01-01", "2024-01-01"),
        ("1e3", "1e3"),
    ],
)
def test_values(written: str, value: Any) -> None:
    assert program(f"field: {written}")["field"] == value


def test_values_of_texts_stay_texts() -> None:
    assert program("environment:\n      PORT: ${PORT}")["environment"] == {"PORT": "8000"}
    assert program("labels:\n      PORT: ${PORT}")["labels"] == {"PORT": "8000"}


def test_maps_can_be_merged() -> None:
    text = "defaults: &all\n  user: a\nprograms:\n  - <<: *all\n    name: b\n"
    assert programs(text) == [{"user": "a", "name": "b"}]


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ("boot: yes", "'yes' means different things in YAML: write true or false, or put it in quotes"),
        ("boot: Off", "'Off' means different things in YAML: write true or false, or put it in quotes"),
        ("umask: 022", "'022' means different things in YAML: put it in quotes, or leave the zero out"),
        ("display: 12:30", "'12:30' means different things in YAML: put it in quotes"),
        ("name: b", "the key 'name' is there twice"),
        ("command: ${NONE}", "the variable NONE is not set, and has no default"),
        (
            "command: ${NAME%x}",
            "'${' begins a variable, as ${NAME} or ${NAME:-default}; for a dollar write $$",
        ),
        ("x: !!python/name:os.system", None),
        ("x: &it [*it]", None),
        ("[]: x", None),
    ],
)
def test_problems_name_their_line(fields: str, sentence: str | None) -> None:
    told = problem(f"programs:\n  - name: a\n    {fields}\n")
    assert told.startswith("f.yaml, line 3: ")
    assert sentence is None or told == f"f.yaml, line 3: {sentence}"


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "f.yaml is no map with the key 'programs'"),
        ("- a", "f.yaml is no map with the key 'programs'"),
        ("set: a", "f.yaml has no key 'programs'"),
        (
            "programs: []\nprune: true",
            "f.yaml, line 2: 'prune' is not one of set, env_file, defaults, programs",
        ),
        ("programs: []\n---\n", "f.yaml, line 2: but found another document"),
        (
            "env_file: none.env\nprograms: []",
            "f.yaml, line 1: none.env can't be read: No such file or directory",
        ),
        ("env_file: []\nprograms: []", "f.yaml, line 1: env_file must be the path of a file of variables"),
        ("programs: " + "[" * 9999, None),
        ("programs: \x00", None),
        ("programs: [", None),
    ],
)
def test_problems_of_the_whole(text: str, sentence: str | None) -> None:
    told = problem(text)
    assert told.startswith("f.yaml")
    assert sentence is None or told == sentence


def test_variables_come_from_a_file_and_the_environment_wins(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("A=file\nexport B='two words'\nEMPTY\n")
    file = tmp_path / "programs.yaml"
    file.write_text("env_file: .env\nprograms:\n  - name: ${A} ${B}\n")
    assert read(str(file), {}) == {"programs": [{"name": "file two words"}]}
    assert read(str(file), {"A": "own"}) == {"programs": [{"name": "own two words"}]}


def test_a_file_that_can_not_be_read_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(Problem, match=r"none\.yaml can't be read: No such file"):
        read(str(tmp_path / "none.yaml"))
    (tmp_path / "bytes").write_bytes(b"\xff\xfe\xff")
    with pytest.raises(Problem, match="can't be read"):
        read(str(tmp_path / "bytes"))
