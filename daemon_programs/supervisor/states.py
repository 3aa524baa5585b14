"""The shapes in which supervisord's plugin reports what runs.

Typing only: the plugin builds them, JSON carries them, the client hands them on unchanged. Times are
seconds since the epoch. A key that is not required is left out when it has nothing to say.
"""

from typing import Any, Literal, NotRequired, TypedDict, final


class Outcome(TypedDict):
    """What ended a run: an exit code, a signal or an error."""

    exit_code: int | None  # None if it was ended by a signal, or could not be run
    signal: str | None  # its name, such as "SIGTERM"
    error: str | None  # why it could not be run, or is not run again; a sentence without its full stop


class LastRun(Outcome):
    """How the last run of a process ended."""

    pid: int  # 0 if no process could be started
    ended_at: float
    requested: bool  # it was stopped on request, rather than ended by itself
    reason: NotRequired[str]  # why it was stopped without a request, to be started again
    seconds: NotRequired[float]  # how long the process was there, by a clock that nothing sets back


class ReloadState(TypedDict):
    """The reloads of a process, numbered as they were requested."""

    requested: int
    done: int  # the last one that is over
    error: str | None  # why that failed, as a sentence without its full stop


class Unmet(TypedDict):
    """A condition that a start waits for."""

    program: str  # its name
    condition: str
    state: str | None  # the program's; None if supervisord has no program of that name


class ProcessState(TypedDict):
    """One process of a program: the only one, or the instance of a port."""

    state: str  # supervisord's, in lower case
    pid: NotRequired[int]
    started_at: NotRequired[float]
    uptime: NotRequired[float]  # seconds, by a clock that nothing sets back
    ending: NotRequired[bool]  # processes of its tree are still being ended
    restarts: NotRequired[int]  # how often supervisord has started it again by itself
    restarts_since_stable: NotRequired[int]  # of these, how many since the last stable run
    next_start_at: NotRequired[float]  # in the pause before a restart
    orphans: NotRequired[list[int]]  # pids of descendants that supervisord has adopted
    last_run: NotRequired[LastRun]
    reload: NotRequired[ReloadState]
    outdated: NotRequired[list[str]]  # fields that were changed since its start, and count from the next on
    queued: NotRequired[bool]  # a start was requested and has not begun
    waiting_for: NotRequired[list[Unmet]]  # before it starts
    ready: NotRequired[bool]  # of a program that says when it is ready
    not_ready_because: NotRequired[str]
    healthy: NotRequired[bool]  # once that was found out
    unhealthy_because: NotRequired[str]
    told: NotRequired[str]  # by the program itself, about its status


@final
class ProgramState(TypedDict):
    """One program, with those of its processes that have something to report."""

    changing: bool  # it is being replaced or withdrawn
    digest: str  # of the file that supervisord has read: see `spec.digest_of`
    processes: dict[str, ProcessState]
    over: NotRequired[bool]  # of a temporary program: nothing of it runs or will run
    cut_short: NotRequired[str | None]  # of a temporary program: why it was stopped without a request


@final
class Refusal(TypedDict):
    """The answer to a start that can't succeed."""

    refused: str  # why, as a sentence without its full stop


# Why a text can't be written to a program's standard input.
InputRefusal = Literal["no_pipe", "not_running", "closed", "full"]


@final
class ReloadsRequested(TypedDict):
    """The answer to a reload: the number of its request, by process."""

    reloads: dict[str, int]


class PartState(TypedDict):
    """A process of the stack itself, such as the API."""

    state: str
    pid: int  # 0 if it does not run
    seconds: float  # since its start; 0 if it does not run
    restarted: bool  # it has ended by itself since supervisord was started


class States(TypedDict):
    """Everything that supervisord runs."""

    pid: int  # supervisord's
    is_ending: bool  # whether it is being stopped
    programs: dict[str, ProgramState]  # by group
    stack: dict[str, PartState]  # by name
    unclaimed: list[int]  # pids of adopted processes that belong to no program


class StatesChanged(TypedDict):
    """Everything that supervisord runs; of programs only those that have changed since an earlier answer."""

    boot: str  # identifies the supervisord that numbers the answers
    number: int
    at: float  # on the monotonic clock
    pid: int  # supervisord's
    is_ending: bool  # whether it is being stopped
    programs: dict[str, ProgramState]  # by group, without orphans
    names: list[str] | None  # of all groups; None if none was added or removed
    orphans: dict[str, dict[str, list[int]]]  # of all processes, by group and name
    stack: dict[str, PartState]
    unclaimed: list[int]


class JournalBatch(TypedDict):
    """The next entries of the journal: see `plugin.sockets.journal`."""

    boot: str  # identifies the supervisord that numbers the entries
    last: int  # the number of the newest entry there is
    entries: list[dict[str, Any]]  # as `events.read` takes them
    lost: int  # how many entries were dropped before these
    states: NotRequired[dict[str, ProgramState]]  # by group, after a loss
