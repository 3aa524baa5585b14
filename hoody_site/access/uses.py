"""Record when API tokens were last used, without delaying the requests that use them.

A request only remembers the use. A thread writes it to the database, where it may have to wait for others
that write. What a process has not written when it ends is lost: at most the uses of its last moment.
"""

import logging
import threading
import time
from datetime import datetime

from django.db import DatabaseError, connection, transaction
from django.utils import timezone

from hoody_site.access.models import ApiToken

logger = logging.getLogger(__name__)

_RESOLUTION_SECONDS = 60.0  # a token in use is written once in this time
_RETRY_SECONDS = 5.0  # after a fault such as a full disk


class Uses:
    """The uses of tokens, by digest: a token that is rotated has not been used yet."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._pending: dict[str, datetime] = {}
        self._remembered: dict[str, float] = {}  # when, on the monotonic clock
        self._is_pending = threading.Event()
        self._thread: threading.Thread | None = None

    def remember(self, digest: str) -> None:
        """Have the time of use written soon, unless it was in the last minute.

        If no thread can be started for it, it is written with the next use.
        """
        now = time.monotonic()
        with self._lock:
            if now - self._remembered.get(digest, float("-inf")) < _RESOLUTION_SECONDS:
                return
            self._pending[digest] = timezone.now()
            try:
                self._ensure_thread()
            except RuntimeError:  # the request that uses the token must not fail
                return
            self._remembered[digest] = now
        self._is_pending.set()

    def _ensure_thread(self) -> None:
        """Start the thread, unless it lives. Raise RuntimeError if the system has no room for it."""
        if self._thread is None or not self._thread.is_alive():
            self._thread = threading.Thread(target=self._run, name="uses of tokens", daemon=True)
            self._thread.start()

    def flush(self) -> None:
        """Write what is remembered; raise DatabaseError if that fails, and keep it for the next call."""
        with self._lock:
            pending, self._pending = self._pending, {}
            oldest = time.monotonic() - _RESOLUTION_SECONDS
            self._remembered = {digest: at for digest, at in self._remembered.items() if at > oldest}
        try:
            with transaction.atomic():
                for digest, at in pending.items():
                    ApiToken.objects.filter(digest=digest).update(last_used_at=at)
        except DatabaseError:
            with self._lock:
                self._pending = {**pending, **self._pending}
            raise

    def _run(self) -> None:
        while True:
            self._is_pending.wait()
            self._is_pending.clear()
            try:
                self.flush()
            except DatabaseError:
                logger.exception("The use of API tokens can't be recorded at the moment")
                connection.close()
                time.sleep(_RETRY_SECONDS)
                self._is_pending.set()


uses = Uses()
