"""The key of the hosts' tokens: made once, private, exchanged line by line; without it nothing breaks."""

import os
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from cryptography.fernet import Fernet

from fleet import sealing
from fleet.exceptions import TokenUnreadable
from fleet.models import Host

TOKEN = "hdt_secret"


@pytest.fixture
def key(tmp_path: Path, settings: Any) -> Path:
    """Where the key is, once there is one."""
    settings.HOSTS_KEY_FILE = tmp_path / "hosts-key"
    settings.HOSTS_KEY_IS_GIVEN = False
    return tmp_path / "hosts-key"


def write(file: Path, *keys: str) -> None:
    """Exchange the keys of a file, at a time of its own."""
    file.write_text("".join(f"{each}\n" for each in keys))
    os.utime(file, ns=(write.counter, write.counter))  # type: ignore[attr-defined]
    write.counter += 1_000_000  # type: ignore[attr-defined]


write.counter = 1_000_000_000  # type: ignore[attr-defined]


def new_key() -> str:
    return Fernet.generate_key().decode()


def test_a_token_is_sealed_with_a_key_that_is_made_for_its_owner_only(key: Path) -> None:
    sealed = sealing.seal(TOKEN)
    assert TOKEN not in sealed
    assert sealed != sealing.seal(TOKEN)
    assert sealing.unseal(sealed) == TOKEN
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    assert [file.name for file in key.parent.iterdir()] == ["hosts-key"]


def test_those_who_need_the_first_key_at_the_same_time_get_the_same(key: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        sealed = list(pool.map(lambda _: sealing.seal(TOKEN), range(8)))
    assert {sealing.unseal(each) for each in sealed} == {TOKEN}
    assert len(key.read_text().split()) == 1


def test_a_key_is_exchanged_by_a_new_one_in_the_line_before_it(key: Path) -> None:
    old, new = new_key(), new_key()
    write(key, old)
    before = sealing.seal(TOKEN)
    write(key, new, old)
    assert sealing.unseal(before) == TOKEN
    after = sealing.seal(TOKEN)
    write(key, new)
    assert sealing.unseal(after) == TOKEN
    with pytest.raises(TokenUnreadable, match=r"was encrypted with another key than that in .*/hosts-key$"):
        sealing.unseal(before)


def test_a_key_that_is_missing_is_not_made_to_read_with(key: Path) -> None:
    sealed = sealing.seal(TOKEN)
    key.unlink()
    with pytest.raises(TokenUnreadable, match=f"^The key of the hosts' tokens is missing: {key}$"):
        sealing.unseal(sealed)
    assert not key.exists()


def test_a_key_that_is_given_is_never_made(key: Path, settings: Any) -> None:
    settings.HOSTS_KEY_IS_GIVEN = True
    with pytest.raises(TokenUnreadable, match="is missing"):
        sealing.seal(TOKEN)
    assert not key.exists()


@pytest.mark.parametrize("content", ["", "short", "\xff\xfe", "a b"])
def test_a_file_without_a_key_is_told_of_without_its_content(key: Path, content: str) -> None:
    write(key, content)
    with pytest.raises(
        TokenUnreadable, match=f"^The key of the hosts' tokens can't be used: {key}"
    ) as problem:
        sealing.seal(TOKEN)
    assert not content or content not in str(problem.value).replace("base64", "")


def test_a_host_whose_token_can_not_be_read_says_why(key: Path) -> None:
    host = Host(name="web-1", url="http://127.0.0.1:1")
    host.token = TOKEN
    assert (host.token, host.token_problem) == (TOKEN, "")
    write(key, new_key())
    assert host.token_problem == f"The token was encrypted with another key than that in {key}"
    with pytest.raises(TokenUnreadable):
        assert host.token
