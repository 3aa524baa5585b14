"""How programs stand: their state in the words that people sort, filter and count them by, problems first."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum

from django.utils.html import format_html_join
from django.utils.safestring import SafeString

from daemon_programs.admin.presentation.badges import Severity, badge, detail
from daemon_programs.admin.presentation.times import since
from daemon_programs.exceptions import SupervisorUnavailable
from daemon_programs.history.restarts import Flapping, flapping
from daemon_programs.models import Program
from daemon_programs.models.rows import rows
from daemon_programs.programs import waiting
from daemon_programs.programs.observed import statuses
from daemon_programs.supervisor.states import ProcessState, ProgramState


class Standing(Enum):
    """A standing by its word, with its place in the order of attention and its severity."""

    FATAL = ("fatal", 0, Severity.BAD)
    FAILED = ("failed", 1, Severity.BAD)  # it has ended by itself, by a signal or with another code than 0
    UNHEALTHY = ("unhealthy", 1, Severity.BAD)
    BACKOFF = ("backoff", 2, Severity.WARNING)
    FLAPPING = ("flapping", 2, Severity.WARNING)  # it runs, but is restarted again and again
    UNKNOWN = ("unknown", 3, Severity.WARNING)
    STARTING = ("starting", 4, Severity.BUSY)
    STOPPING = ("stopping", 4, Severity.BUSY)
    RUNNING = ("running", 5, Severity.GOOD)
    EXITED = ("exited", 6, Severity.NEUTRAL)
    STOPPED = ("stopped", 6, Severity.NEUTRAL)
    DISABLED = ("disabled", 7, Severity.NEUTRAL)

    def __init__(self, word: str, place: int, severity: Severity) -> None:
        self.word = word
        self.place = place
        self.severity = severity

    @property
    def is_problem(self) -> bool:
        """Return whether someone should look at the program."""
        return self.place <= Standing.FLAPPING.place


_BY_WORD = {standing.word: standing for standing in Standing}


def standing_of(program: Program, state: ProgramState | None, loop: Flapping | None = None) -> Standing:
    """Return how a program stands: as its worst process does, if that is a problem."""
    processes = state["processes"].values() if state else ()
    worst = min((_of_process(program, each) for each in processes), key=_place, default=Standing.STOPPED)
    if worst.is_problem:
        return worst
    word = statuses.program_status(program, state)["status"]
    if loop and word in statuses.ACTIVE:
        return Standing.FLAPPING
    if not program.enabled and word in ("stopped", "exited"):
        return Standing.DISABLED
    return _BY_WORD[word]


def _of_process(program: Program, process: ProcessState) -> Standing:
    word = statuses.status_of(process)
    if word == "exited" and _has_failed(program, process):
        return Standing.FAILED
    if word == "running" and process.get("healthy") is False:
        return Standing.UNHEALTHY
    return _BY_WORD[word]


def _has_failed(program: Program, process: ProcessState) -> bool:
    """Return whether a process has ended by itself, and not as the program may."""
    ended = process.get("last_run")
    if not ended or ended["requested"]:
        return False
    return bool(ended["error"] or ended["signal"]) or ended["exit_code"] not in (0, *program.exit_codes)


def _place(standing: Standing) -> int:
    return standing.place


def describe(program: Program, state: ProgramState | None, loop: Flapping | None = None) -> SafeString:
    """Return the badge of a program: its state as the API calls it, and what there is to say about it."""
    standing = standing_of(program, state, loop)
    details: list[str] = []
    if program.keys is None:
        process = statuses.process_state(state, program.group)
        details.append(since(process["started_at"]) if process.get("pid") else _outcome(process))
        details.extend(["unhealthy"] if standing is Standing.UNHEALTHY else [])
    else:
        details.append(_instances(program, state))
    if loop and standing in (Standing.FLAPPING, Standing.BACKOFF):
        details.append(str(loop))
    if not program.enabled:
        details.append("disabled")
    word = statuses.program_status(program, state)["status"]
    shown = format_html_join(", ", "{}", ((each,) for each in details if each))
    return badge(word, shown, standing.severity)


def _outcome(process: ProcessState) -> str:
    """Return how the last run of a process ended, as briefly as a list needs it."""
    return detail(process).removeprefix("it ended with ").removeprefix("it was ended by ")


def _instances(program: Program, state: ProgramState | None) -> str:
    """Return how many instances run, and how many have which problem."""
    running = statuses.count_running(statuses.list_instances(program, state))
    standings = (_of_process(program, each) for each in (state["processes"].values() if state else ()))
    problems = Counter(standing.word for standing in standings if standing.is_problem)
    counted = (f"{count} {word}" for word, count in sorted(problems.items()))
    return ", ".join((f"{running} of {len(program.keys or ())}", *counted))


@dataclass
class Overall:
    """The states and standings of all programs at one moment, from one call to supervisord."""

    states: dict[str, ProgramState]  # by group
    loops: dict[str, Flapping]  # by group
    standings: dict[int, Standing]  # by id, in the order of attention, then of names
    problem: str = ""  # why nothing is known but the names

    @classmethod
    def now(cls) -> "Overall":
        """Ask supervisord and the history. If the former doesn't answer, all standings are unknown."""
        programs = rows.all()
        try:
            states, loops = waiting.states(), flapping()
        except SupervisorUnavailable as problem:
            programs.sort(key=_name)
            return cls({}, {}, {program.pk: Standing.UNKNOWN for program in programs}, str(problem))
        found = {
            program.pk: standing_of(program, states.get(program.group), loops.get(program.group))
            for program in programs
        }
        programs.sort(key=lambda program: (found[program.pk].place, *_name(program)))
        return cls(states, loops, {program.pk: found[program.pk] for program in programs})

    def counts(self, ids: Iterable[int] | None = None) -> dict[Standing, int]:
        """Return how many programs have each standing, in the order of attention; of ``ids``, or of all."""
        chosen = self.standings if ids is None else ids
        counted = Counter(self.standings[id] for id in chosen if id in self.standings)
        return {standing: counted[standing] for standing in Standing if counted[standing]}

    @property
    def problems(self) -> int:
        """Return how many programs someone should look at."""
        return sum(standing.is_problem for standing in self.standings.values())


def _name(program: Program) -> tuple[str, int]:
    return program.name.casefold(), program.pk
