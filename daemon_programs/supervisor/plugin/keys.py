"""Keys that distinguish genuine environment markers from forged ones."""

import hmac
import secrets

from daemon_programs.supervisor.processes.notes import Owner


class Keys:
    """Derive a key for each process of each program, from a secret that stays inside supervisord."""

    def __init__(self) -> None:
        self._secret = secrets.token_bytes(32)

    def of(self, owner: Owner) -> str:
        """Return the key of an owner, which its processes have among their environment markers."""
        return hmac.digest(self._secret, ":".join(owner).encode(), "sha256").hex()

    def matches(self, key: bytes, owner: Owner) -> bool:
        """Return whether a marker is the key of the owner that the other markers name."""
        return hmac.compare_digest(key, self.of(owner).encode())
