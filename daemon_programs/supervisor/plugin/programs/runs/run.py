"""One run of a process, as the system has it: its child, its descriptors and its mark."""

import contextlib
import os
import select
import signal
from typing import Any

from supervisor.options import make_namespec
from supervisor.process import Subprocess

from daemon_programs.supervisor.plugin import accounts
from daemon_programs.supervisor.plugin.memory import LOOK_SECONDS, WatchedTree
from daemon_programs.supervisor.plugin.programs import launch
from daemon_programs.supervisor.plugin.programs.configuration import ProgramConfig
from daemon_programs.supervisor.plugin.programs.runs.ending import LOOK_AGAIN_SECONDS, TreeSignal
from daemon_programs.supervisor.processes import marks, notes
from daemon_programs.supervisor.processes.marks import Claim
from daemon_programs.supervisor.processes.tree import lineage
from daemon_programs.supervisor.states import InputRefusal

_CHILD_PIPES = ("child_stdin", "child_stdout", "child_stderr")


class ProcessRun(Subprocess):
    """Makes the child of a run, and releases what the run has taken."""

    pid: int
    pipes: dict[str, Any]  # descriptors by name; None for one that there is not
    dispatchers: dict[int, Any]
    claim: Claim | None = None  # the mark that the run and its descendants carry
    watched_tree: WatchedTree | None = None  # while its memory is limited
    failure_fd: int | None = None  # where the child writes why it could not exec the command

    def __init__(self, config: ProgramConfig, group: Any) -> None:
        super().__init__(config)
        self.group = group
        self.context = config.context
        self.tree_signals: list[TreeSignal] = []  # that have not reached all processes yet

    @property
    def _owner(self) -> notes.Owner:
        return notes.Owner(self.group.config.name, self.config.name)

    @property
    def namespec(self) -> str:
        """supervisord's full name of the process, for its log."""
        return str(make_namespec(self.group.config.name, self.config.name))

    @property
    def takes_signals(self) -> bool:
        """Whether the process is there and not being stopped."""
        return bool(self.pid) and not self.killing

    def send(self, signum: signal.Signals) -> None:
        """Signal the process itself, whose pid can't be another's before it is reaped."""
        if self.pid:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(self.pid, signum)

    def send_to_tree(self, signum: signal.Signals) -> None:
        """Signal the process and all that has descended from it, at once or in the next turns of the loop."""
        roots = [self.pid, *self.context.orphans.of(self._owner, at_most_every=LOOK_AGAIN_SECONDS)]
        self.tree_signals.append(TreeSignal(roots, signum, self._is_own))
        self._step_tree_signals()

    def _is_own(self, pid: int) -> bool:
        """Return whether a process belongs to the run: by its mark; if it has changed that, by parentage."""
        if self.claim is None or marks.read(pid) == self.claim.mark:
            return True
        return not {self.pid, *self.context.orphans.of(self._owner)}.isdisjoint(lineage(pid))

    def _step_tree_signals(self) -> None:
        if self.tree_signals:
            self.tree_signals = [each for each in self.tree_signals if not each.step()]
            self.group.wake()
            self.context.wakeup.poke()

    def watch_memory(self) -> None:
        """Watch the memory of what runs, if it has a limit at present."""
        self._leave_memory()
        limit = self.config.memory_limit_bytes
        if limit is not None and self.pid:
            owner, orphans = self._owner, self.context.orphans
            self.watched_tree = WatchedTree(
                limit,
                roots=lambda: [self.pid, *orphans.of(owner, at_most_every=LOOK_SECONDS)],
                exceed=self._exceed_memory,
            )
            self.context.memory.watch(self.watched_tree)

    def _exceed_memory(self) -> None:
        self.config.options.logger.info(f"uses more memory than its limit: '{self.namespec}'")
        self.group.restart_for_memory(self)

    def _leave_memory(self) -> None:
        if self.watched_tree is not None:
            self.context.memory.forget(self.watched_tree)
            self.watched_tree = None

    def _fork(self, filename: str, argv: list[str] | None = None) -> int:
        """Fork the child that execs the program's command, or another one, and return its pid.

        Raise OSError; what the run has taken stays open then.
        """
        child_failure_fd = None
        try:
            self.failure_fd, child_failure_fd = os.pipe()
            os.set_blocking(self.failure_fd, False)
            self._announce()
            child = launch.Child(
                self.group.config.name, self.pipes, filename, child_failure_fd, self.claim, argv
            )
            return launch.fork(self.config, child)
        except OSError:
            self._close_failure_pipe()
            raise
        finally:
            if child_failure_fd is not None:
                os.close(child_failure_fd)

    def _spawn_as_parent(self, pid: int) -> int:
        super()._spawn_as_parent(pid)
        self.pipes.update(dict.fromkeys(_CHILD_PIPES))  # they are closed
        return pid

    def _announce(self) -> None:
        if self.claim is not None:
            with self.context.contained(f"{self.config.name} could not be noted"):
                notes.announce(self.context.notes_folder, self._owner, self.claim)

    def _note(self, pid: int) -> None:
        """Claim what the child leaves behind, also for a supervisord that comes after a crash."""
        if self.claim is not None:
            self.context.orphans.claim(self.claim, self._owner)
        with self.context.contained(f"{self.config.name} could not be noted"):
            notes.write(self.context.notes_folder, self._owner, pid, self.claim)

    def _forget(self) -> None:
        """Undo that, once nothing of the run is left."""
        self.tree_signals = []
        notes.forget(self.context.notes_folder, self._owner)
        self._release_mark()

    def _take_mark(self) -> Claim | None:
        uid = accounts.account_of(self.config).pw_uid
        mark = self.context.marks.take(is_root=uid == 0)
        return Claim(mark, uid) if mark else None

    def _release_mark(self) -> None:
        if self.claim is not None:
            self.context.orphans.withdraw(self.claim.mark, self._owner)
            self.context.marks.release(self.claim.mark)
            self.claim = None

    def write_input(self, data: bytes, *, close: bool) -> InputRefusal | None:
        """Write to standard input, and with ``close`` end it; return why that can't be done, if so."""
        if not self.config.takes_input:
            return "no_pipe"
        if not self.pid or self.killing:
            return "not_running"
        descriptor = self.pipes["stdin"]
        if descriptor is None:
            return "closed"
        self.group.wake()
        refusal: InputRefusal | None = self.dispatchers[descriptor].add(data, close=close)
        return refusal

    @property
    def _has_input_left(self) -> bool:
        """Whether its standard input has something to write, or is to be closed."""
        descriptor = self.pipes.get("stdin")
        return descriptor is not None and not self.dispatchers[descriptor].is_settled

    def close_input(self) -> None:
        """Give the program the end of file. Called by the dispatcher of its standard input."""
        descriptor, self.pipes["stdin"] = self.pipes["stdin"], None
        self.dispatchers.pop(descriptor).close()
        self.config.options.close_fd(descriptor)

    def drain(self) -> None:
        """Read what there is of the output. Called by supervisord too."""
        for dispatcher in list(self.dispatchers.values()):
            if dispatcher.readable():
                dispatcher.handle_read_event()

    def _keep_output(self) -> None:
        """Log what has been written and not read yet."""
        with self.context.contained(f"the last output of {self.config.name} could not be kept"):
            self.drain()

    def _close_pipes(self) -> None:
        for dispatcher in self.dispatchers.values():
            dispatcher.close()
        self.config.options.close_parent_pipes(self.pipes)
        self.config.options.close_child_pipes(self.pipes)
        self.pipes = {}
        self.dispatchers = {}

    def _has_become_program(self) -> bool:
        """Return whether the child has exec'd the command, which closes its end of the failure pipe."""
        if self.failure_fd is None:
            return True
        look = select.poll()
        look.register(self.failure_fd, select.POLLIN)
        return any(not event & select.POLLIN for _, event in look.poll(0))

    def _close_failure_pipe(self) -> launch.Failure | None:
        """Return why the child could not exec the command; None if it did."""
        if self.failure_fd is None:
            return None
        try:
            return launch.Failure.read(self.failure_fd)
        finally:
            os.close(self.failure_fd)
            self.failure_fd = None
