"""Collect the metrics of programs, of the stack's parts, and of events and webhooks.

Each scrape takes one call to supervisord, one pass over the process table and a few queries, however many
programs there are. Temporary programs are only counted: a monitoring system would have to keep many series
that soon end.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from django.db.models import Max
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, InfoMetricFamily, Metric
from prometheus_client.registry import Collector

from daemon_programs import queue
from daemon_programs.exceptions import DaemonError
from daemon_programs.models import Delivery, Event, Program
from daemon_programs.programs.observed import statuses, usage
from daemon_programs.programs.observed.parts import parts_up
from daemon_programs.streams.pump import pump
from daemon_programs.supervisor.gateway import supervisor
from daemon_programs.supervisor.instances import NUMBER, PORT, key_of
from daemon_programs.supervisor.processes.notes import Owner
from daemon_programs.supervisor.states import ProcessState, ProgramState
from daemon_programs.webhooks import deliveries
from hoody_daemon import __version__
from quick_start.models import EphemeralProgram

# The labels of the keys of instances. ``instance`` is what Prometheus calls the address that it scrapes.
_KEY_LABELS = {PORT: "port", NUMBER: "number"}

# The states of programs by group; None if supervisord can't be reached.
_States = dict[str, ProgramState] | None
# The samples of a metric: labels, and the value.
_Rows = Iterable[tuple[dict[str, str], float]]


class _Process(NamedTuple):
    """The only process of a program, or one of its instances."""

    labels: dict[str, str]
    owner: Owner
    status: str
    reported: ProcessState  # by supervisord


class DaemonCollector(Collector):
    """Collect all metrics but those of HTTP requests.

    If supervisord can't be reached, statuses are ``unknown``, and the other metrics from it are left out.
    """

    def collect(self) -> Iterator[Metric]:
        """Yield the metrics of one scrape."""
        yield InfoMetricFamily("daemon_build", "The version of the daemon.", value={"version": __version__})
        yield from _supervised()
        yield from _recorded()
        yield _gauge("daemon_streams_open", "Live streams that are open.", [({}, pump.count)])


def _supervised() -> Iterator[Metric]:
    """Yield the metrics from supervisord and the process table."""
    try:
        reported = supervisor.states()
    except DaemonError:
        reported = None
    programs = list(Program.objects.only("id", "name", "enabled", "port_start", "port_end", "numprocs"))
    states = reported and reported["programs"]
    yield _gauge("daemon_supervisord_up", "Whether supervisord answers.", [({}, reported is not None)])
    yield _by_state(
        "daemon_programs",
        "Registered programs by status; one with instances is running while one of them is.",
        (_status_of(program, states) for program in programs),
    )
    yield _by_state(
        "daemon_temporary_programs",
        "Temporary programs that run or await clean-up, by status.",
        _statuses_of_temporary_programs(states),
    )
    if reported is not None:
        yield _gauge(
            "daemon_component_up",
            "Whether a part of the stack itself is running; one that ends again and again is not.",
            (({"component": name}, is_up) for name, is_up in parts_up(reported["stack"]).items()),
        )
        yield _gauge(
            "daemon_unclaimed_processes",
            "Processes that programs have left behind and that belong to none of them.",
            [({}, len(reported["unclaimed"]))],
        )
        yield from _program_metrics(programs, reported["programs"])


def _status_of(program: Program, states: _States) -> str:
    if states is None:
        return "unknown"
    return str(statuses.program_status(program, states.get(program.group))["status"])


def _statuses_of_temporary_programs(states: _States) -> Iterator[str]:
    for group in EphemeralProgram.objects.live().values_list("temporary_id", flat=True):
        if states is None:
            yield "unknown"
        elif group in states:  # otherwise it has ended since the query
            yield statuses.status_of(statuses.process_state(states[group], group))


def _program_metrics(programs: Sequence[Program], states: dict[str, ProgramState]) -> Iterator[Metric]:
    """Yield the metrics that have a series for each program, or for each instance that was started."""
    found = [each for program in programs for each in _processes(program, states.get(program.group))]
    groups = {program.group for program in programs}
    measured = usage.measure({group: state for group, state in states.items() if group in groups})
    used = [(each.labels, measured[each.owner]) for each in found if each.owner in measured]
    yield _gauge(
        "daemon_program_up",
        "Whether it is running.",
        ((each.labels, each.status == "running") for each in found),
    )
    yield _gauge(
        "daemon_program_state",
        "Always 1: the status is a label.",
        (({**each.labels, "state": each.status}, 1) for each in found),
    )
    yield _counter(
        "daemon_program_restarts",
        "How often supervisord has started it again by itself.",
        ((each.labels, each.reported.get("restarts", 0)) for each in found),
    )
    yield _gauge(
        "daemon_program_start_time_seconds",
        "When its process was started, since the epoch. Its uptime is time() minus this.",
        ((each.labels, each.reported["started_at"]) for each in found if each.reported.get("pid")),
    )
    yield _counter(
        "daemon_program_cpu_seconds",
        "What its process tree has used since the start of its process, in seconds of one core.",
        ((labels, tree.cpu_seconds) for labels, tree in used),
    )
    yield _gauge(
        "daemon_program_resident_memory_bytes",
        "Resident memory of its process tree.",
        ((labels, tree.memory_rss_bytes) for labels, tree in used),
    )
    yield _gauge(
        "daemon_program_processes",
        "Processes of its tree.",
        ((labels, tree.process_count) for labels, tree in used),
    )


def _processes(program: Program, state: ProgramState | None) -> Iterator[_Process]:
    """Yield the only process of a program, started or not, or those of its instances that were started."""
    group = program.group
    labels = {"id": str(program.pk), "name": program.name, "port": ""}
    if program.keys is None:
        status = _status_of(program, {group: state} if state else {})
        yield _Process(labels, Owner(group, group), status, statuses.process_state(state, group))
        return
    for name, reported in sorted(state["processes"].items() if state else ()):
        key = key_of(name)  # None while the program is being changed to have instances
        own = {_KEY_LABELS[key.kind]: str(key.value)} if key else {}
        yield _Process({**labels, **own}, Owner(group, name), statuses.status_of(reported), reported)


def _recorded() -> Iterator[Metric]:
    """Yield the metrics from the database."""
    yield _counter(
        "daemon_events_recorded",
        "State changes that were recorded, since this installation was made.",
        [({}, Event.objects.aggregate(last=Max("id"))["last"] or 0)],
    )
    yield _counter(
        "daemon_webhook_attempts",
        "Attempts to deliver webhooks by outcome, and deliveries that were cancelled.",
        (({"outcome": outcome}, count) for outcome, count in deliveries.counts().items()),
    )
    yield _gauge(
        "daemon_webhook_deliveries_pending",
        "Webhooks that are still to be delivered.",
        [({}, Delivery.objects.pending().count())],
    )
    tasks = queue.size()
    yield _gauge(
        "daemon_queue_tasks",
        "Tasks that wait in the queue or are under way.",
        [] if tasks is None else [({}, tasks)],
    )


def _by_state(name: str, text: str, values: Iterable[str]) -> Metric:
    """Return a gauge that counts the values by status, with a series also for statuses that don't occur."""
    counts = Counter(values)
    return _gauge(name, text, (({"state": status}, counts[status]) for status in statuses.STATUSES))


def _gauge(name: str, text: str, rows: _Rows) -> Metric:
    return _filled(GaugeMetricFamily(name, text), name, rows)


def _counter(name: str, text: str, rows: _Rows) -> Metric:
    return _filled(CounterMetricFamily(name, text), f"{name}_total", rows)


def _filled(family: Metric, sample: str, rows: _Rows) -> Metric:
    for labels, value in rows:
        family.add_sample(sample, labels, value)
    return family
