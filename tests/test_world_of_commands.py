"""The commands of probes, reloads and ``before_start`` have the world of their program."""

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.processes import LONG_RUNNING, is_root, python, shell, started
from tests.stack import OTHER_USER, OWN_USER, Api, eventually

needs_root = pytest.mark.skipif(not is_root(), reason="it takes root")

WORLD: dict[str, Any] = {"umask": "027", "nice": 5, "limits": {"nofile": 123, "fsize": 10240, "core": 0}}
# Of the soft and the hard limits; those of files are counted in blocks of 512 bytes.
AS_SEEN = "123 123 20 0 5 0027"
LOOKS = (
    'echo $(ulimit -Sn) $(ulimit -Hn) $(ulimit -f) $(ulimit -c) $(nice) $(umask) > "$1.new"; mv "$1.new" "$1"'
)


@pytest.fixture
def seen() -> Iterator[Path]:
    """A file that any user can make."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o777)
        yield Path(folder) / "seen"


@pytest.mark.parametrize("user", [OWN_USER, pytest.param(OTHER_USER, marks=needs_root)])
@pytest.mark.parametrize("field", ["ready", "health", "before_start", "reload"])
def test_command_has_the_umask_the_priority_and_the_limits_of_its_program(
    api: Api, seen: Path, field: str, user: str
) -> None:
    command = {"command": shell(LOOKS, str(seen))}
    fields = {field: [command] if field == "before_start" else command}
    id = api.add(LONG_RUNNING, user=user, directory="/", **fields, **WORLD)
    started(api, id)
    if field == "reload":
        api.ok(f"programs/{id}/reload")
    assert eventually(lambda: seen.is_file() and seen.read_text().strip()) == AS_SEEN


@needs_root
def test_command_of_a_probe_can_have_a_priority_that_takes_privilege(api: Api, seen: Path) -> None:
    probe = {"command": shell('nice > "$1.new"; mv "$1.new" "$1"', str(seen))}
    started(api, api.add(LONG_RUNNING, user=OTHER_USER, directory="/", nice=-3, ready=probe))
    assert eventually(lambda: seen.is_file() and seen.read_text().strip()) == "-3"


@pytest.mark.parametrize("with_file", [False, True])
def test_probe_that_needs_more_than_the_limits_allow_fails(
    api: Api, tmp_path: Path, *, with_file: bool
) -> None:
    """With a file of variables, the child of the prober is exec'ed in another way."""
    (tmp_path / "env").write_text("A=1\n")
    fields = {"env_file": str(tmp_path / "env")} if with_file else {}
    probe = {"command": python("len(bytes(700_000_000))"), "interval": 1, "timeout": 10}
    id = api.add(LONG_RUNNING, limits={"as": 500_000_000}, ready=probe, **fields)
    started(api, id)
    reason = "its command ended with exit code 1"
    eventually(lambda: api.status(id)["status"].get("not_ready_because") == reason)
