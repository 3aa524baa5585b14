"""What the metrics tell of programs, of the stack's parts, and of what has happened.

Made anew for each scrape, however many programs there are, by one call to supervisord, one look at the
process table, and a few queries. Temporary programs are only counted: series that end with them would be
of no use to anybody, and cost whoever has to keep them.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from django.db.models import Max
from django_q.models import OrmQ
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, InfoMetricFamily, Metric
from prometheus_client.registry import Collector

from daemon_programs.exceptions import DaemonError
from daemon_programs.models import Delivery, Event, Program
from daemon_programs.programs import statuses, usage
from daemon_programs.streams.pump import pump
from daemon_programs.supervisor.gateway import supervisor
from daemon_programs.supervisor.processes.notes import Owner
from daemon_programs.supervisor.states import ProcessState, ProgramState
from daemon_programs.webhooks import deliveries
from hoody_site import __version__
from quick_start.models import EphemeralProgram

_PROCESS = ["id", "name", "port"]  # the labels of each process of a program

# The states of programs, by group; None: supervisord can't be reached.
_States = dict[str, ProgramState] | None
# Of a family: values of the labels, and the figure.
_Rows = Iterable[tuple[list[str], float]]


class _Process(NamedTuple):
    """A program's only process, or an instance of it."""

    labels: list[str]
    owner: Owner
    status: str
    told: ProcessState  # by supervisord


class DaemonCollector(Collector):
    """Without supervisord: that it can't be reached, and what is known all the same."""

    def collect(self) -> Iterator[Metric]:
        yield InfoMetricFamily("daemon_build", "The version of the daemon.", value={"version": __version__})
        yield from _supervised()
        yield from _recorded()
        yield _gauge("daemon_streams_open", "Live streams that are open.", [], [([], pump.count)])


def _supervised() -> Iterator[Metric]:
    """What supervisord and the process table tell."""
    try:
        told = supervisor.states()
    except DaemonError:
        told = None
    programs = list(Program.objects.only("id", "name", "enabled", "port_start", "port_end"))
    states = told and told["programs"]
    yield _gauge("daemon_supervisord_up", "Whether supervisord answers.", [], [([], told is not None)])
    yield _by_state(
        "daemon_programs",
        "Registered programs by status; a port range is running while an instance is.",
        (_status_of(program, states) for program in programs),
    )
    yield _by_state(
        "daemon_temporary_programs",
        "Temporary programs that run or await clean-up, by status.",
        _statuses_of_temporary_programs(states),
    )
    if told is not None:
        yield _gauge(
            "daemon_component_up",
            "Whether a part of the stack itself is running.",
            ["component"],
            (([name], process["state"] == "running") for name, process in told["stack"].items()),
        )
        yield from _of_programs(programs, told["programs"])


def _status_of(program: Program, states: _States) -> str:
    if states is None:
        return "unknown"
    return str(statuses.program_status(program, states.get(program.group))["status"])


def _statuses_of_temporary_programs(states: _States) -> Iterator[str]:
    for group in EphemeralProgram.objects.live().values_list("temporary_id", flat=True):
        if states is None:
            yield "unknown"
        elif group in states:  # otherwise it has ended since
            yield statuses.status_of(statuses.process_state(states[group], group))


def _of_programs(programs: Sequence[Program], states: dict[str, ProgramState]) -> Iterator[Metric]:
    """One series for each program, or for each instance that supervisord has something to tell of."""
    found = [each for program in programs for each in _processes(program, states.get(program.group))]
    groups = {program.group for program in programs}
    measured = usage.measure({group: state for group, state in states.items() if group in groups})
    used = [(each.labels, measured[each.owner]) for each in found if each.owner in measured]
    yield _gauge(
        "daemon_program_up",
        "Whether it is running.",
        _PROCESS,
        ((each.labels, each.status == "running") for each in found),
    )
    yield _gauge(
        "daemon_program_state",
        "Always 1: the status is a label.",
        [*_PROCESS, "state"],
        (([*each.labels, each.status], 1) for each in found),
    )
    yield _counter(
        "daemon_program_restarts",
        "How often supervisord has started it again by itself.",
        _PROCESS,
        ((each.labels, each.told.get("restarts", 0)) for each in found),
    )
    yield _gauge(
        "daemon_program_start_time_seconds",
        "When its process was started, since the epoch. Its uptime is time() minus this.",
        _PROCESS,
        ((each.labels, each.told["started_at"]) for each in found if each.told.get("pid")),
    )
    yield _counter(
        "daemon_program_cpu_seconds",
        "What its process tree has used since the start of its process, in seconds of one core.",
        _PROCESS,
        ((labels, tree.cpu_seconds) for labels, tree in used),
    )
    yield _gauge(
        "daemon_program_resident_memory_bytes",
        "Resident memory of its process tree.",
        _PROCESS,
        ((labels, tree.memory_rss_bytes) for labels, tree in used),
    )
    yield _gauge(
        "daemon_program_processes",
        "Processes of its tree.",
        _PROCESS,
        ((labels, tree.process_count) for labels, tree in used),
    )


def _processes(program: Program, state: ProgramState | None) -> Iterator[_Process]:
    """Of a port range those instances that have been started; other programs have a process always."""
    id, group = str(program.pk), program.group
    if not program.has_ports:
        status = _status_of(program, {group: state} if state else {})
        told = statuses.process_state(state, group)
        yield _Process([id, program.name, ""], Owner(group, group), status, told)
        return
    for name, told in sorted(state["processes"].items() if state else ()):
        port = "" if name == group else name  # it is just being given its ports
        yield _Process([id, program.name, port], Owner(group, name), statuses.status_of(told), told)


def _recorded() -> Iterator[Metric]:
    """What the database tells."""
    yield _counter(
        "daemon_events_recorded",
        "State changes that were recorded, since this installation was made.",
        [],
        [([], Event.objects.aggregate(last=Max("id"))["last"] or 0)],
    )
    yield _counter(
        "daemon_webhook_attempts",
        "Attempts to deliver webhooks by outcome, and deliveries that were cancelled.",
        ["outcome"],
        (([outcome], count) for outcome, count in deliveries.counts().items()),
    )
    yield _gauge(
        "daemon_webhook_deliveries_pending",
        "Webhooks that are still to be delivered.",
        [],
        [([], Delivery.objects.pending().count())],
    )
    yield _gauge(
        "daemon_queue_tasks",
        "Tasks that wait in the queue or are under way.",
        [],
        [([], OrmQ.objects.count())],
    )


def _by_state(name: str, text: str, words: Iterable[str]) -> Metric:
    """Each status has its series: what there is none of is 0, and not missing."""
    counts = Counter(words)
    return _gauge(name, text, ["state"], (([word], counts[word]) for word in statuses.STATUSES))


def _gauge(name: str, text: str, labels: list[str], rows: _Rows) -> Metric:
    return _filled(GaugeMetricFamily(name, text, labels=labels), rows)


def _counter(name: str, text: str, labels: list[str], rows: _Rows) -> Metric:
    return _filled(CounterMetricFamily(name, text, labels=labels), rows)


def _filled(family: GaugeMetricFamily | CounterMetricFamily, rows: _Rows) -> Metric:
    for labels, value in rows:
        family.add_metric(labels, value)
    return family
