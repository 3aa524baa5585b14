"""Whole sets of programs: what an import makes of documents, before anything runs."""

import json
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings

from daemon_programs.exceptions import BackupUnusable
from daemon_programs.maintenance.sets import replacing
from daemon_programs.models import Program
from daemon_programs.programs import registration
from tests.stack import OWN_USER

pytestmark = pytest.mark.django_db

Document = dict[str, Any]


@pytest.fixture(autouse=True)
def stopped_stack(tmp_path: Path) -> Any:
    """The database alone: commands on a stopped stack work like this."""
    with registration.offline():
        yield


def document(id: int | None, name: str, /, **fields: Any) -> Document:
    identity = {} if id is None else {"id": id}
    return {**identity, "name": name, "command": "sleep 1000", "user": OWN_USER, **fields}


def ports(start: int, end: int) -> Document:
    return {"port_range": {"start": start, "end": end}}


def exported() -> list[Document]:
    return json.loads(replacing.export_text())["programs"]  # type: ignore[no-any-return]


def shown(key: str) -> dict[int, Any]:
    """One field of all programs, by id."""
    return {program["id"]: program.get(key) for program in exported()}


def refusal(documents: list[Any], **options: Any) -> str:
    """Why an import is refused; it must not have changed anything."""
    before = replacing.export_text()
    with pytest.raises(BackupUnusable) as refused:
        replacing.import_programs(documents, **options)
    assert replacing.export_text() == before
    return str(refused.value)


def without_ids(lines: list[str]) -> list[str]:
    """PostgreSQL takes no number back that it has given in a transaction that was rolled back."""
    return [line.partition(" (")[0] for line in lines]


def test_import_makes_the_set_that_of_the_documents() -> None:
    replacing.import_programs([document(1, "one"), document(2, "two"), document(3, "three")])
    wanted = [document(2, "two"), document(3, "drei", priority=5), document(9, "nine")]
    replacing.import_programs(wanted)
    assert shown("name") == {2: "two", 3: "drei", 9: "nine"}
    assert shown("priority") == {2: 999, 3: 5, 9: 999}


def test_each_program_has_a_line() -> None:
    replacing.import_programs([document(1, "one"), document(2, "two"), document(3, "three")])
    wanted = [document(2, "zwei", priority=5, enabled=False), document(3, "three"), document(None, "four")]
    lines = replacing.import_programs(wanted, dry_run=True)
    assert lines == [
        "remove 'one' (1)",
        "change 'zwei' (2): enabled, name, priority, stderr_logfile, stdout_logfile",
        f"add    'four' ({lines[2].partition('(')[2]}",
        "keep   'three' (3)",
    ]
    assert without_ids(replacing.import_programs(wanted)) == without_ids(lines)
    assert list(shown("name").values()) == ["zwei", "three", "four"]


def test_dry_run_changes_nothing() -> None:
    replacing.import_programs([document(1, "one", **ports(1, 5)), document(2, "two")])
    before = replacing.export_text()
    replacing.import_programs([document(1, "two"), document(7, "new", **ports(1, 5))], dry_run=True)
    assert replacing.export_text() == before


def test_others_can_be_kept() -> None:
    replacing.import_programs([document(1, "one"), document(2, "two")])
    lines = replacing.import_programs([document(2, "zwei"), document(3, "three")], keep_others=True)
    assert lines[-1] == "keep   'one' (1)"
    assert shown("name") == {1: "one", 2: "zwei", 3: "three"}


def test_program_that_says_the_same_in_other_words_is_kept() -> None:
    hooks = {"urls": ["https://example.com"]}
    replacing.import_programs([document(1, "one", display="1", autorestart=True, webhooks=hooks)])
    again = document(1, "one", display=":1", autorestart="true", webhooks={**hooks, "events": "all"})
    assert replacing.import_programs([again]) == ["keep   'one' (1)"]
    assert replacing.import_programs(exported()) == ["keep   'one' (1)"]
    as_listed = {**exported()[0], "hoody_kit": True, "status": {"id": 1, "status": "stopped"}, "stats": {}}
    assert replacing.import_programs([as_listed]) == ["keep   'one' (1)"]


def test_field_that_a_document_lacks_is_the_default() -> None:
    replacing.import_programs([document(1, "one", priority=5, description="x", **ports(1, 5))])
    assert replacing.import_programs([document(1, "one")]) == [
        "change 'one' (1): description, port_param, port_range, priority"
    ]
    assert shown("priority") == {1: 999}


def test_programs_may_swap_what_must_be_unique() -> None:
    ring = [
        document(1, "a", **ports(1, 9)),
        document(2, "b", **ports(10, 19)),
        document(3, "c", **ports(20, 29)),
        document(4, "d", terminal_id=1),
        document(5, "e", terminal_id=2),
    ]
    replacing.import_programs(ring)
    swapped = [
        document(1, "b", **ports(15, 25)),
        document(2, "c", **ports(26, 30)),
        document(3, "a", **ports(1, 14)),
        document(4, "e", terminal_id=2),
        document(5, "d", terminal_id=1),
    ]
    replacing.import_programs(swapped)
    assert shown("name") == {1: "b", 2: "c", 3: "a", 4: "e", 5: "d"}
    assert shown("terminal_id") == {1: None, 2: None, 3: None, 4: 2, 5: 1}
    assert shown("port_range")[3] == {"start": 1, "end": 14}


def test_name_of_a_removed_program_is_free_for_another() -> None:
    replacing.import_programs([document(1, "one", **ports(1, 5))])
    replacing.import_programs([document(2, "one", **ports(3, 9))])
    assert shown("name") == {2: "one"}


def test_ids_that_are_asked_for_are_given_before_others() -> None:
    replacing.import_programs([document(None, "any"), document(1, "one"), document(2, "two")])
    assert list(shown("name").values()) == ["one", "two", "any"]
    assert shown("name")[2] == "two"


def test_default_log_paths_move_with_the_state_folder(tmp_path: Path) -> None:
    replacing.import_programs([document(1, "one"), document(2, "two", stdout_logfile=f"{tmp_path}/out.log")])
    replacing.import_programs(exported())
    paths = {each.name: (each.stdout_logfile, each.stderr_logfile) for each in Program.objects.all()}
    assert paths == {"one": ("", ""), "two": (f"{tmp_path}/out.log", "")}


WRONG: list[tuple[Document, str]] = [
    ({"name": "x", "user": OWN_USER},
     "Program 'x': Field 'command' is required and must be a non-empty string"),
    ({"command": "true", "user": OWN_USER},
     "Program number 3: Field 'name' is required and must be a non-empty string"),
    ({}, "Program number 3: Field 'name' is required and must be a non-empty string"),
    (document(None, "x", nmae="y"), "Program 'x': Unknown field 'nmae'"),
    (document(None, "x", priority="5"), "Program 'x': Field 'priority' must be an integer"),
    (document(None, "x", port_range={"start": 1}), "Program 'x': Field 'port_range' is missing 'end'"),
    (document(None, "x", user="invalid-user"),
     "Program 'x': User \"invalid-user\" does not exist on the system"),
    (document(None, "x", directory="/opt/missing"),
     "Program 'x': Working directory '/opt/missing' does not exist"),
    (document(None, "x", boot=True, lazy_load=True),
     "Program 'x': Field 'lazy_load' can't be combined with boot: true"),
    (document(None, "x", webhooks={"urls": ["https://localhost"]}),
     "Program 'x': Field 'webhooks' urls must not point to a name of this host or network: 'localhost'"),
    (document(None, "x", webhooks={}), "Program 'x': Field 'webhooks' urls must have 1 to 5 entries"),
    (document(None, "one"), "Program 'one': Name 'one' is already in use by another program"),
    (document(1, "x"), "Program 'x': the ID 1 is in the file twice"),
    (document(0, "x"), "Program 'x': Field 'id' must be between 1 and 9007199254740991"),
    (document(None, "x", id="1"), "Program 'x': Field 'id' must be an integer"),
    (document(None, "x", **ports(5, 6)), "Program 'x': Port range overlaps with program 'one' [1-5]"),
    (document(None, "x", terminal_id=9), "Program 'x': Terminal 9 is already in use by program 'last'"),
    (document(None, "x\ud800"), "Program 'x?': Field 'name' must be valid Unicode text"),
    (document(None, "x", name=5), "Program '5': Field 'name' is required and must be a non-empty string"),
]  # fmt: skip


@pytest.mark.parametrize(("wrong", "sentence"), WRONG, ids=lambda value: ascii(value)[:60])
def test_one_wrong_document_refuses_them_all(wrong: Document, sentence: str) -> None:
    replacing.import_programs([document(7, "before")])
    others = [document(1, "one", **ports(1, 5)), document(3, "last", terminal_id=9)]
    assert refusal([*others, wrong]) == sentence


def test_program_that_is_kept_is_in_the_way_of_others() -> None:
    replacing.import_programs([document(1, "one", **ports(1, 5))])
    taken = "Program 'one': Name 'one' is already in use by another program"
    assert refusal([document(2, "one")], keep_others=True) == taken
    overlap = "Program 'x': Port range overlaps with program 'one' [1-5]"
    assert refusal([document(2, "x", **ports(5, 9))], keep_others=True) == overlap


@pytest.mark.parametrize("wrapped", [True, False], ids=["object", "bare list"])
def test_file_is_an_object_or_a_bare_list(tmp_path: Path, wrapped: bool) -> None:
    documents = [document(1, "日本")]
    file = tmp_path / "programs.json"
    file.write_text(json.dumps({"programs": documents} if wrapped else documents), encoding="utf-8")
    assert replacing.read_documents(file) == documents


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"nonsense", b'["\xff"]', b"[" * 100_000, b"\xef\xbb\xbf[]", b'{"programs": [}', b"1" * 5000],
    ids=range(8),
)  # fmt: skip
def test_file_that_is_no_json_is_refused(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "programs.json"
    file.write_bytes(content)
    with pytest.raises(BackupUnusable, match=rf"^{file} can't be read: "):
        replacing.read_documents(file)


@pytest.mark.parametrize(
    "content", ["{}", "null", "5", '"x"', '{"programs": {}}', "[1]", '{"programs": [null]}']
)
def test_file_without_a_list_of_programs_is_refused(tmp_path: Path, content: str) -> None:
    file = tmp_path / "programs.json"
    file.write_text(content)
    with pytest.raises(BackupUnusable) as refused:
        replacing.read_documents(file)
    assert str(refused.value) == f"{file} holds no list of programs"


@pytest.mark.parametrize("name", ["missing.json", "."])
def test_file_that_can_not_be_read_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(BackupUnusable, match=" can't be read: "):
        replacing.read_documents(tmp_path / name)


def test_shipped_defaults_are_a_few_examples_that_don_t_run_by_themselves() -> None:
    replacing.import_programs(replacing.shipped_defaults())
    assert 1 <= len(exported()) <= 3
    assert {program["user"] for program in exported()} == {OWN_USER}
    assert {program["enabled"] for program in exported()} == {False}
    assert all(program["description"] for program in exported())


def test_snapshot_is_what_a_reset_goes_back_to() -> None:
    replacing.make_snapshot(replacing.shipped_defaults())
    replacing.import_programs([document(4711, "other")])
    kept = replacing.reset()
    snapshot = Path(settings.DEFAULT_PROGRAMS_FILE)
    assert replacing.export_text() == snapshot.read_text()
    assert [program["name"] for program in replacing.read_documents(kept)] == ["other"]
    snapshot.unlink()
    kept.unlink()
