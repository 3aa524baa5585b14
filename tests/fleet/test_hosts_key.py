"""The file with the key of the hosts' tokens is checked before a start, if one is given."""

from pathlib import Path

import pytest
from django.conf import LazySettings

from hoody_site.checks import check_hosts_key_file

KEY = "A" * 43 + "="  # the same in all processes that collect the tests


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (None, "No such file or directory"),
        ("", "it is empty"),
        ("secret", "it does not hold keys of Fernet"),
        (f"{KEY}\nsecret\n", "it does not hold keys of Fernet"),
    ],
)
def test_file_without_keys_is_refused_without_a_word_of_it(
    settings: LazySettings, tmp_path: Path, content: str | None, reason: str
) -> None:
    file = tmp_path / "hosts-key"
    if content is not None:
        file.write_text(content)
    settings.HOSTS_KEY_IS_GIVEN, settings.HOSTS_KEY_FILE = True, file
    [error] = check_hosts_key_file()
    assert (error.id, error.msg) == (
        "hoody.E006",
        f"The file of DAEMON_HOSTS_KEY_FILE, {file}, can't be used: {reason}.",
    )


def test_file_with_one_key_or_several_is_accepted(settings: LazySettings, tmp_path: Path) -> None:
    file = tmp_path / "hosts-key"
    settings.HOSTS_KEY_IS_GIVEN, settings.HOSTS_KEY_FILE = True, file
    for keys in (1, 2):
        file.write_text(f"{KEY}\n" * keys)
        assert check_hosts_key_file() == []


def test_key_that_is_made_when_it_is_needed_is_not_missed(settings: LazySettings, tmp_path: Path) -> None:
    settings.HOSTS_KEY_IS_GIVEN, settings.HOSTS_KEY_FILE = False, tmp_path / "none"
    assert check_hosts_key_file() == []
