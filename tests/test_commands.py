"""``export_programs``, ``import_programs``, ``reset_programs``, ``reconcile``; ``POST programs/reset``."""

import json
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from daemon_programs.supervisor.client import Supervisor
from tests import database
from tests.processes import BECOMES, LONG_RUNNING, started, tree
from tests.program_sets import (
    SET,
    document,
    done,
    everything,
    failed,
    mirrored,
    names,
    newest_backups,
    pids,
    write,
)
from tests.stack import Api, Stack, temporary_stack

NO_DEFAULTS = "Default programs file (programs.default.json) is missing or corrupt"


@pytest.fixture(scope="module")
def whole() -> Iterator[Stack]:
    """A stack whose programs may be exchanged as a whole."""
    with temporary_stack() as running:
        yield running.start()


@pytest.fixture
def stack(whole: Stack) -> Iterator[Stack]:
    """The same, with no program at the beginning, and the snapshot as it was at the end."""
    snapshot = whole.folder / "programs.default.json"
    before = snapshot.read_bytes()
    for program in whole.api.get("programs").json()["programs"]:
        whole.api.ok(f"programs/remove/{program['id']}")
    yield whole
    snapshot.write_bytes(before)


@pytest.fixture
def api(stack: Stack) -> Api:
    return stack.api


def test_export_reset_import_gives_back_the_same_bytes(stack: Stack, api: Api, tmp_path: Path) -> None:
    for fields in SET:
        api.add(**fields)
    before = mirrored(stack)
    file = tmp_path / "export.json"
    assert done(stack, "export_programs", file) == f"Exported to {file}.\n"
    assert file.read_bytes() == before
    done(stack, "reset_programs")
    assert mirrored(stack) != before
    done(stack, "import_programs", file)
    assert (stack.folder / "programs.json").read_bytes() == before
    assert mirrored(stack) == before
    assert done(stack, "export_programs").encode() == before
    # and once more there is nothing to do
    lines = done(stack, "import_programs", file).splitlines()
    assert [line.split()[0] for line in lines] == ["keep"] * len(SET)


def test_export_is_for_its_owner_only(stack: Stack, api: Api, tmp_path: Path) -> None:
    api.add(environment={"SECRET": "s"})
    file = tmp_path / "export.json"
    file.touch(mode=0o644)
    done(stack, "export_programs", file)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_export_into_a_folder_that_is_not_there_is_one_sentence(stack: Stack) -> None:
    assert "No such file or directory" in failed(stack, "export_programs", "/opt/missing/export.json")


def test_reset_loads_the_snapshot_and_can_be_undone(stack: Stack, api: Api) -> None:
    running = api.add("sleep 1000", name="running")
    started(api, running)
    ports = api.add("sleep 1000 {port}", port_range={"start": 64000, "end": 64001}, boot=True)
    before = mirrored(stack)
    write(
        stack.folder / "programs.default.json",
        document(running, "starts", boot=True),
        document(900, "waits"),
        document(901, "off", enabled=False, boot=True),
    )
    api.ok("programs/reset")
    assert names(api) == {running: "starts", 900: "waits", 901: "off"}
    api.until(running, "running")
    assert (api.word(900), api.word(901)) == ("stopped", "stopped")
    assert tree(stack, ports) == []
    assert [" ".join(process.cmdline()) for process in tree(stack, running)] == [BECOMES]
    [kept] = newest_backups(stack)
    assert kept.read_bytes() == before
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    done(stack, "import_programs", kept)
    assert mirrored(stack) == before


def test_command_says_how_to_undo_a_reset(stack: Stack, api: Api) -> None:
    api.add(name="was here")
    printed = done(stack, "reset_programs")
    [kept] = newest_backups(stack)
    assert printed == f"The programs are reset. To undo it: manage.py import_programs {kept}\n"
    assert "was here" not in names(api).values()
    assert (stack.folder / "programs.json").read_text() == (
        stack.folder / "programs.default.json"
    ).read_text()
    done(stack, "import_programs", kept)
    assert list(names(api).values()) == ["was here"]


@pytest.mark.parametrize(
    "snapshot",
    [None, "", "{", "5", '{"programs": 5}', "[5]", '[{"name": "x"}]',
     json.dumps([document(1, "x", user="invalid-user")]),
     json.dumps([document(1, "x"), document(1, "y")]),
     json.dumps([document(1, "x"), document(2, "x")])],
    ids=str,
)  # fmt: skip
def test_reset_without_a_good_snapshot_changes_nothing(stack: Stack, api: Api, snapshot: str | None) -> None:
    started(api, api.add(name="running"))
    file = stack.folder / "programs.default.json"
    file.write_text(snapshot or "")
    if snapshot is None:
        file.unlink()
    before = everything(stack)
    assert api.refused("programs/reset", code=500) == NO_DEFAULTS
    assert everything(stack) == before


def test_reset_without_a_snapshot_is_one_sentence_of_the_command_too(stack: Stack, api: Api) -> None:
    started(api, api.add(name="running"))
    (stack.folder / "programs.default.json").unlink()
    before = everything(stack)
    assert failed(stack, "reset_programs") == NO_DEFAULTS
    assert everything(stack) == before


def test_reset_starts_afresh_what_has_not_changed(stack: Stack, api: Api) -> None:
    snapshot = write(stack.folder / "programs.default.json", document(800, "same", boot=True))
    api.ok("programs/reset")
    first = api.until(800, "running")["status"]["pid"]
    snapshot.write_bytes(mirrored(stack))
    api.ok("programs/reset")
    assert api.until(800, "running")["status"]["pid"] != first
    assert len(tree(stack, 800)) == 1


def test_import_touches_only_what_differs(stack: Stack, api: Api, tmp_path: Path) -> None:
    fields = {
        name: {"name": name, "command": LONG_RUNNING}
        for name in ("same", "renamed", "edited", "removed", "off")
    }
    ids = {name: api.add(**each) for name, each in fields.items()}
    before = {name: started(api, id) for name, id in ids.items()}
    file = write(
        tmp_path / "set.json",
        document(ids["same"], "same"),
        document(ids["renamed"], "renamed", description="in words only"),
        document(ids["edited"], "edited", environment={"NEW": "1"}),
        document(ids["off"], "off", enabled=False),
        document(700, "starts", boot=True),
        document(701, "waits"),
    )
    done(stack, "import_programs", file)
    api.until(ids["edited"], "running", "starting")
    api.until(700, "running", "starting")
    after = pids(api)
    assert after["same"] == before["same"]
    assert after["renamed"] == before["renamed"]
    assert after["edited"] not in (None, before["edited"])
    assert "removed" not in after
    assert after["off"] is after["waits"] is None
    assert tree(stack, ids["removed"]) == tree(stack, ids["off"]) == []


def test_dry_run_says_line_by_line_what_it_would_do(stack: Stack, api: Api, tmp_path: Path) -> None:
    same, edited, removed = (api.add(LONG_RUNNING, name=name) for name in ("same", "edited", "removed"))
    started(api, removed)
    file = write(
        tmp_path / "set.json",
        document(same, "same"),
        document(edited, "edited", priority=5, boot=True),
        document(700, "new"),
    )
    mirrored(stack)
    before = everything(stack)
    expected = [
        f"remove 'removed' ({removed})",
        f"change 'edited' ({edited}): boot, priority",
        "add    'new' (700)",
        f"keep   'same' ({same})",
    ]
    assert done(stack, "import_programs", "--dry-run", file).splitlines() == expected
    assert everything(stack) == before
    assert done(stack, "import_programs", file).splitlines() == expected
    assert names(api) == {same: "same", edited: "edited", 700: "new"}


def test_others_can_be_kept(stack: Stack, api: Api, tmp_path: Path) -> None:
    other = api.add(name="other")
    pid = started(api, other)
    file = write(tmp_path / "set.json", document(700, "new"))
    assert done(stack, "import_programs", "--keep-others", file).splitlines() == [
        "add    'new' (700)",
        f"keep   'other' ({other})",
    ]
    assert api.pid(other) == pid


def test_invalid_file_changes_nothing(stack: Stack, api: Api, tmp_path: Path) -> None:
    id = api.add(name="running")
    started(api, id)
    before = everything(stack)
    file = write(tmp_path / "set.json", document(id, "changed"), document(700, "x", priority=0))
    assert failed(stack, "import_programs", file) == "Program 'x': Field 'priority' must be between 1 and 999"
    assert failed(stack, "import_programs", "--dry-run", file).startswith("Program 'x': ")
    file.write_text("{")
    assert failed(stack, "import_programs", file).startswith(f"{file} can't be read: ")
    assert failed(stack, "import_programs", tmp_path / "missing").startswith(
        f"{tmp_path}/missing can't be read: "
    )
    assert everything(stack) == before


def test_running_programs_swap_names_and_port_ranges(stack: Stack, api: Api, tmp_path: Path) -> None:
    first = api.add("sleep 1000 {port}", name="a", port_range={"start": 64000, "end": 64001})
    second = api.add("sleep 1000 {port}", name="b", port_range={"start": 64002, "end": 64003})
    started(api, first, 64000)
    started(api, second, 64003)
    swapped = [
        document(first, "b", command="sleep 1000 {port}", port_range={"start": 64002, "end": 64003}),
        document(second, "a", command="sleep 1000 {port}", port_range={"start": 64000, "end": 64001}),
    ]
    done(stack, "import_programs", write(tmp_path / "set.json", *swapped))
    assert names(api) == {first: "b", second: "a"}
    assert api.status(first, port=64002)["instance"]["instance_name"] == "b_64002"
    assert api.status(second)["total_count"] == 2


@pytest.fixture
def without_queue(stack: Stack) -> Iterator[None]:
    """The queue does the same once a minute: it would come first."""
    supervisorctl(stack, "stop", "scheduler")
    yield
    supervisorctl(stack, "start", "scheduler")


def supervisorctl(stack: Stack, *command: str) -> None:
    configuration = str(stack.folder / "supervisord.conf")
    arguments = [sys.executable, "-m", "supervisor.supervisorctl", "-c", configuration, *command]
    ran = subprocess.run(arguments, capture_output=True, text=True, timeout=120)
    assert ran.returncode == 0, ran.stdout


@pytest.mark.usefixtures("without_queue")
def test_reconcile_mends_what_is_out_of_line(stack: Stack, api: Api) -> None:
    lost, changed, unknown = (api.add(name=name) for name in ("lost", "changed", "unknown"))
    pid = started(api, changed)
    mirrored(stack)
    assert done(stack, "reconcile") == "No differences found.\n"
    folder = stack.folder / "conf.d"
    (folder / f"program-{lost}.json").unlink()
    right = (folder / f"program-{changed}.json").read_text()
    (folder / f"program-{changed}.json").write_text(right.replace("1000", "2000"))
    (folder / "program-999999.json").write_text("{}")
    Supervisor(stack.folder / "supervisor.sock").remove(f"program-{unknown}")
    (stack.folder / "programs.json").write_text("[]")
    mended = done(stack, "reconcile").splitlines()
    assert sorted(mended) == sorted(
        [
            "conf.d/program-999999.json belongs to no program: removed",
            f"conf.d/program-{lost}.json differs from the database: rewritten",
            f"conf.d/program-{changed}.json differs from the database: rewritten",
            f"program-{unknown} is not known to supervisord: registered",
            "programs.json differs from the database: rewritten",
        ]
    )
    assert (folder / f"program-{changed}.json").read_text() == right
    assert api.pid(changed) == pid
    assert api.word(unknown) == "stopped"
    assert done(stack, "reconcile") == "No differences found.\n"


def test_commands_on_a_stopped_stack_agree_with_its_next_start(own_stack: Stack, tmp_path: Path) -> None:
    # A connection to a file that isn't there fails before supervisord is asked.
    for command in ("export_programs", "reset_programs", *([] if database.POSTGRES else ["reconcile"])):
        assert "has the stack ever run?" in failed(own_stack, command)
    api = own_stack.start().api
    kept = api.add(LONG_RUNNING, name="kept", boot=True)
    removed = api.add(LONG_RUNNING, name="removed", boot=True)
    before = mirrored(own_stack)
    own_stack.stop()
    assert done(own_stack, "export_programs").encode() == before
    assert "supervisord can't be reached" in failed(own_stack, "reconcile")
    done(own_stack, "reset_programs")
    [backup] = newest_backups(own_stack)
    assert backup.read_bytes() == before
    new = document(700, "new", boot=True)
    file = write(tmp_path / "set.json", document(kept, "kept", boot=True), new)
    done(own_stack, "import_programs", file)
    expected = (own_stack.folder / "programs.json").read_bytes()
    own_stack.start()
    assert names(own_stack.api) == {kept: "kept", 700: "new"}
    own_stack.api.until(kept, "running")
    own_stack.api.until(700, "running")
    assert tree(own_stack, removed) == []
    assert mirrored(own_stack) == expected
    assert done(own_stack, "reconcile") == "No differences found.\n"
