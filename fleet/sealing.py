"""Encrypt the tokens of hosts, with a key that is not in the database (Fernet: AES-128 and HMAC-SHA256).

The library is only loaded with the first token: a stack without hosts has no use for it.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from django.conf import settings

from daemon_programs.files import sync_folder
from fleet.exceptions import TokenUnreadable

if TYPE_CHECKING:
    from cryptography.fernet import MultiFernet


def seal(text: str) -> str:
    """Return an encrypted text; raise TokenUnreadable if there is no key that can be used."""
    return _cipher(create=True).encrypt(text.encode()).decode()


def unseal(sealed: str) -> str:
    """Return the text that was sealed; raise TokenUnreadable if it was sealed with another key."""
    from cryptography.fernet import InvalidToken

    try:
        return _cipher(create=False).decrypt(sealed.encode()).decode()
    except InvalidToken:
        raise TokenUnreadable(
            f"The token was encrypted with another key than that in {settings.HOSTS_KEY_FILE}"
        ) from None


def _cipher(*, create: bool) -> MultiFernet:
    file = Path(settings.HOSTS_KEY_FILE)
    with contextlib.suppress(FileNotFoundError):
        return _ciphers(file, file.stat().st_mtime_ns)
    if not create or settings.HOSTS_KEY_IS_GIVEN:
        raise TokenUnreadable(f"The key of the hosts' tokens is missing: {file}")
    _make_key(file)
    return _ciphers(file, file.stat().st_mtime_ns)


def _make_key(file: Path) -> None:
    """Write a new key, with mode 0600, unless another thread or process has been faster."""
    from cryptography.fernet import Fernet

    with tempfile.NamedTemporaryFile(dir=file.parent, prefix=f".{file.name}.", suffix=".tmp") as draft:
        draft.write(Fernet.generate_key() + b"\n")
        draft.flush()
        os.fsync(draft.fileno())
        with contextlib.suppress(FileExistsError):
            os.link(draft.name, file)
    sync_folder(file.parent)


@lru_cache(maxsize=1)
def _ciphers(file: Path, changed_at: int) -> MultiFernet:
    """Return the ciphers of the keys in a file, one in each line: the first encrypts, all of them decrypt."""
    from cryptography.fernet import Fernet, MultiFernet

    try:
        return MultiFernet([Fernet(line) for line in file.read_text().split()])
    except (OSError, ValueError) as problem:
        raise TokenUnreadable(f"The key of the hosts' tokens can't be used: {file} ({problem})") from None
