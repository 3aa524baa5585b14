"""What can go wrong with a program, as the rest of the project sees it.

::

    DaemonError
    ├── ProgramNotFound        no program of that id
    ├── DeliveryNotFound       no delivery of that id and program
    ├── Refused                the verb doesn't fit the program or its state; the sentence says why
    ├── SupervisorUnavailable  supervisord can't be reached
    │   ├── Busy               other changes take too long
    │   └── ShuttingDown       the stack is being stopped
    ├── ChangeNotTaken         supervisord was reached and did not take the change
    │   └── NotRegistered      since it does not have the program
    ├── WaitTimedOut           what was waited for did not happen in time
    ├── TooManyWaits           more requests wait than the stack has room for
    ├── TooManyStreams         more streams are open than the settings allow
    ├── StreamsUnavailable     the server can't hand over its connections, or the system has no more to give
    └── BackupUnusable         a file to load programs from is missing, corrupt or wrong

``hoody_site.api.errors`` holds the one table that makes HTTP statuses of them.
"""


class DaemonError(Exception):
    """Its text is one sentence for the client; ``code`` the stable word beside it, ``extra`` more."""

    code = "error"

    def __init__(self, sentence: str, **extra: object) -> None:
        super().__init__(sentence)
        self.extra = extra


class ProgramNotFound(DaemonError):
    code = "not_found"

    def __init__(self, id: object) -> None:
        super().__init__(f"Program with ID {id} not found")


class DeliveryNotFound(DaemonError):
    code = "not_found"

    def __init__(self, id: object) -> None:
        super().__init__(f"Delivery with ID {id} not found")


class Refused(DaemonError):
    code = "refused"


class SupervisorUnavailable(DaemonError):
    code = "supervisor_unavailable"

    def __init__(self, sentence: str = "supervisord can't be reached; nothing was changed") -> None:
        super().__init__(sentence)


class Busy(SupervisorUnavailable):
    code = "busy"


class ShuttingDown(SupervisorUnavailable):
    code = "shutting_down"


class ChangeNotTaken(DaemonError):
    code = "change_not_taken"


class NotRegistered(ChangeNotTaken):
    def __init__(self) -> None:
        super().__init__("supervisord does not have this program at the moment; try again in a minute")


class WaitTimedOut(DaemonError):
    code = "timeout"


class TooManyWaits(DaemonError):
    code = "too_many_waits"


class TooManyStreams(DaemonError):
    code = "too_many_streams"


class StreamsUnavailable(DaemonError):
    code = "streams_unavailable"

    def __init__(
        self, sentence: str = "Streams are served by the stack's own server only, which `make run` starts"
    ) -> None:
        super().__init__(sentence)


class BackupUnusable(DaemonError):
    code = "backup_unusable"
