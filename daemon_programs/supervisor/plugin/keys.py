"""Keys that tell genuine environment markers from forged ones."""

import hmac
import secrets

from daemon_programs.supervisor.processes.notes import Owner


class Keys:
    """One key for each process of each program, derived from a secret that supervisord never tells."""

    def __init__(self) -> None:
        self._secret = secrets.token_bytes(32)

    def of(self, owner: Owner) -> str:
        """Return what a process carries that only supervisord can have given it."""
        return hmac.digest(self._secret, ":".join(owner).encode(), "sha256").hex()

    def fits(self, key: bytes, owner: Owner) -> bool:
        """Return whether a carried key is that of the owner which is carried beside it."""
        return hmac.compare_digest(key, self.of(owner).encode())
