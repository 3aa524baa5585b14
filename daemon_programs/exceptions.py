"""The exceptions of the project, with their messages for clients.

::

    DaemonError
    ├── ProgramNotFound
    ├── DeliveryNotFound
    ├── NothingSelected
    ├── NotPermitted
    ├── Refused
    │   └── DidNotStart
    ├── Conflict
    ├── InputFull
    ├── LogUnreadable
    ├── SupervisorUnavailable
    │   ├── Busy
    │   └── ShuttingDown
    ├── ChangeNotTaken
    │   └── NotRegistered
    ├── WaitTimedOut
    ├── TooManyWaits
    ├── TooManyStreams
    ├── StreamsUnavailable
    └── BackupUnusable

``hoody_site.api.errors`` maps them to HTTP statuses.
"""


class DaemonError(Exception):
    """Base class. The message is a sentence for the client.

    ``code`` is a stable word for programs, and ``extra`` has further keys of the error's body.
    """

    code = "error"

    def __init__(self, sentence: str, **extra: object) -> None:
        super().__init__(sentence)
        self.extra = extra


class ProgramNotFound(DaemonError):
    """No program has that id."""

    code = "not_found"

    def __init__(self, id: object) -> None:
        super().__init__(f"Program with ID {id} not found")


class DeliveryNotFound(DaemonError):
    """No delivery of that program has that id."""

    code = "not_found"

    def __init__(self, id: object) -> None:
        super().__init__(f"Delivery with ID {id} not found")


class NothingSelected(DaemonError):
    """A word that is to select programs names none."""

    code = "not_found"

    def __init__(self, word: str) -> None:
        super().__init__(f"No program matches '{word}'")


class NotPermitted(DaemonError):
    """The user may not do this with the program."""

    code = "permission_denied"

    def __init__(self) -> None:
        super().__init__("You do not have the permission to do this")


class Refused(DaemonError):
    """The program or its state doesn't allow what was requested. The message says why."""

    code = "refused"


class DidNotStart(Refused):
    """A process was started as requested, and has failed or was stopped before it was running."""


class Conflict(DaemonError):
    """What was requested does not fit what others have changed or own. Nothing was changed."""

    code = "conflict"


class InputFull(DaemonError):
    """A program does not read its standard input, and no more of it can be kept."""

    code = "input_full"


class LogUnreadable(DaemonError):
    """A log is there, and can't be read at the moment."""

    code = "log_unreadable"

    def __init__(self, path: str, problem: OSError) -> None:
        super().__init__(f"The log '{path}' can't be read: {(problem.strerror or str(problem)).lower()}")


class SupervisorUnavailable(DaemonError):
    """supervisord can't be reached."""

    code = "supervisor_unavailable"

    def __init__(self, sentence: str = "supervisord can't be reached; nothing was changed") -> None:
        super().__init__(sentence)


class Busy(SupervisorUnavailable):
    """Other changes take too long."""

    code = "busy"


class ShuttingDown(SupervisorUnavailable):
    """The stack is shutting down."""

    code = "shutting_down"


class ChangeNotTaken(DaemonError):
    """supervisord was reached, and did not make the change."""

    code = "change_not_taken"


class NotRegistered(ChangeNotTaken):
    """supervisord did not make the change, because it does not have the program."""

    def __init__(self) -> None:
        super().__init__("supervisord does not have this program at the moment; try again in a minute")


class WaitTimedOut(DaemonError):
    """What a request waited for did not happen in time."""

    code = "timeout"


class TooManyWaits(DaemonError):
    """As many requests wait as are allowed."""

    code = "too_many_waits"


class TooManyStreams(DaemonError):
    """As many streams are open as the settings allow."""

    code = "too_many_streams"


class StreamsUnavailable(DaemonError):
    """The server can't hand over connections, or the system has no descriptor left."""

    code = "streams_unavailable"

    def __init__(
        self, sentence: str = "Streams are served by the stack's own server only, which `make run` starts"
    ) -> None:
        super().__init__(sentence)


class BackupUnusable(DaemonError):
    """A file to load programs from is missing, corrupt or invalid."""

    code = "backup_unusable"
