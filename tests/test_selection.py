"""Which programs a selection chooses."""

import pytest

from daemon_programs.models import Program
from daemon_programs.programs import selection
from daemon_programs.programs.selection import Selection
from daemon_programs.supervisor.states import ProgramState
from daemon_programs.validators.labels import Selector

PROGRAMS = [
    Program(pk=1, name="web", labels={"team": "shop", "tier": "front"}),
    Program(pk=2, name="web-admin", labels={"team": "shop"}),
    Program(pk=3, name="mail", labels={"team": "office"}),
    Program(pk=4, name="team=shop", enabled=False),
    Program(pk=5, name="[x]*"),
]


def running(*names: str) -> dict[str, ProgramState]:
    return {
        program.group: {
            "changing": False,
            "digest": "",
            "processes": {program.group: {"state": "running", "pid": 9, "started_at": 0.0}},
        }
        for program in PROGRAMS
        if program.name in names
    }


@pytest.mark.parametrize(
    ("chosen", "names"),
    [
        (Selection(), ["web", "web-admin", "mail", "team=shop", "[x]*"]),
        (Selection(ids=frozenset({3, 1})), ["web", "mail"]),
        (Selection(ids=frozenset()), []),
        (Selection(names=("web*",)), ["web", "web-admin"]),
        (Selection(names=("WEB",)), []),
        (Selection(names=("[x]*",)), ["[x]*"]),
        (Selection(names=("mail", "web")), ["web", "mail"]),
        (Selection(labels=(Selector("team", "shop"),)), ["web", "web-admin"]),
        (Selection(labels=(Selector("team", "shop"), Selector("tier", None))), ["web"]),
        (Selection(states=frozenset({"running"})), ["web"]),
        (Selection(states=frozenset({"disabled"})), ["team=shop"]),
        (Selection(names=("web*",), states=frozenset({"unknown", "stopped"})), ["web-admin"]),
    ],
)
def test_each_part_narrows_the_choice(chosen: Selection, names: list[str]) -> None:
    assert [program.name for program in chosen.of(PROGRAMS, running("web"))] == names


def test_each_glob_is_compiled_once(monkeypatch: pytest.MonkeyPatch) -> None:
    compiled = []
    monkeypatch.setattr(selection, "translate", lambda glob: compiled.append(glob) or "web.*")
    globs = tuple(f"{number}*" for number in range(1000))
    assert [program.name for program in Selection(names=globs).of(PROGRAMS, {})] == ["web", "web-admin"]
    assert sorted(compiled) == sorted(globs)


@pytest.mark.parametrize(
    ("words", "names", "unknown"),
    [
        (["2"], ["web-admin"], []),
        (["@running"], ["web"], []),
        (["team=office"], ["mail"], []),
        (["team=shop"], ["team=shop"], []),
        (["mail", "web-*", "nothing"], ["web-admin", "mail"], ["nothing"]),
        (["web", "1"], ["web"], []),
        (["²", "=", "@nowhere", "99"], [], ["²", "=", "@nowhere", "99"]),
        (["0002", "9" * 5000], ["web-admin"], ["9" * 5000]),
    ],
)
def test_words_choose_as_at_the_command_line(words: list[str], names: list[str], unknown: list[str]) -> None:
    found, missing = selection.chosen_by_words(words, PROGRAMS, running("web"))
    assert ([program.name for program in found], missing) == (names, unknown)
