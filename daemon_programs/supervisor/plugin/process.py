"""One process of a program: its start, its end and its stop.

It differs from stock supervisord's where docs/contract.md, sections 3 to 6, asks for it:

- A clean exit in the first second is a finished run, and is not run again.
- ``autorestart: "false"`` means no restart, also in the first second.
- A command that can't be started at all (no such command or user, no access to the folder) is ``fatal``
  at once, with the reason.
- The exit code and the signal are kept.
- ``delay_seconds`` passes before the command is run, without a process.
- A stop ends the whole tree, including ``setsid`` children, and is complete when no process is left.
- A signal that is sent right after the fork is not lost, and the child has default signal handling.
"""

import os
import signal
import time
from typing import Any

from supervisor.datatypes import RestartUnconditionally
from supervisor.options import (
    ProcessException,
    decode_wait_status,
    make_namespec,
)
from supervisor.process import Subprocess
from supervisor.states import (
    RUNNING_STATES,
    STOPPED_STATES,
    ProcessStates,
    SupervisorStates,
    getProcessStateDescription,
)

from daemon_programs.supervisor.plugin import launch
from daemon_programs.supervisor.plugin.configuration import ProgramConfig
from daemon_programs.supervisor.processes import notes
from daemon_programs.supervisor.processes.tree import Identity, descend, send, terminate
from daemon_programs.supervisor.states import LastRun, ProcessState

_LOOK_AGAIN_SECONDS = 0.02  # between two looks at a tree that is being ended
_ORPHANS_SHOWN_SECONDS = 0.2  # how outdated orphans may be that are only reported
_ALL_SIGNALS = signal.valid_signals()

# What causes a change of state that was not requested: see `daemon_programs.actors`.
BOOT = "boot"
SUPERVISORD = "supervisord"


class ProgramProcess(Subprocess):
    """Replaces supervisord's process class."""

    # Deadlines use the monotonic clock, so that setting the system's time can't delay them.
    launch_at: float | None = None  # the end of delay_seconds, while that passes
    launched_at = 0.0
    retry_at = 0.0
    ended_at = 0.0
    kill_at = 0.0  # when processes that SIGTERM has not ended get SIGKILL
    pid: int
    session = 0  # the session that the process has started
    spawnerr: str | None
    by = SUPERVISORD  # who caused its present state
    start_by = SUPERVISORD  # who requested the next start
    restarts = 0  # automatic restarts so far
    start_requested = False  # start as soon as the last run has ended
    ending = False  # processes of the tree are being ended
    last_run: LastRun | None = None
    failure_fd: int | None = None  # where the child writes why it could not exec the command

    def __init__(self, config: ProgramConfig, group: Any) -> None:
        super().__init__(config)
        self.group = group
        self.context = config.context
        self.signalled: set[Identity] = set()

    # Starting

    def spawn(self) -> int | None:
        """Start the process, now or after the delay. Called by supervisord and by the group.

        While the last run is still ending, the start is noted and follows.
        """
        if self.pid or self.ending:
            self.start_requested = True
            self.group.wake()
            return None
        self.start_requested = False
        self.by, self.start_by = self.start_by, SUPERVISORD
        self.killing = False
        self.spawnerr = None
        self.exitstatus = None
        self.system_stop = False
        self.administrative_stop = False
        self.laststart = time.time()
        self.change_state(ProcessStates.STARTING)
        if self.config.delay_seconds:
            self.launch_at = time.monotonic() + self.config.delay_seconds
            self.context.wakeup.at(self.launch_at)
            return None
        return self._launch()

    def _launch(self) -> int | None:
        self.launch_at = None
        self.laststart = time.time()
        try:
            filename = launch.check(self.config)
            launch.make_folders(self.config)
            self.dispatchers, self.pipes = self.config.make_dispatchers(self)
        except ProcessException as problem:
            self._fail(problem.args[0])
            return None
        except OSError as problem:
            self._fail(f"its logs or its terminal can't be made: {launch.describe(problem)}")
            return None
        except Exception as problem:
            self.context.log(f"{self._namespec} could not be started: {problem!r}")
            self._fail("it can't be started; the log of supervisord says more")
            return None
        child_failure_fd = None
        # Block signals until the child has reset its handlers: until then it has supervisord's, which
        # would swallow a signal that is meant to end the program.
        mask = signal.pthread_sigmask(signal.SIG_BLOCK, _ALL_SIGNALS)
        try:
            self.failure_fd, child_failure_fd = os.pipe()
            os.set_blocking(self.failure_fd, False)
            pid = self.config.options.fork()
            if not pid:
                launch.exec_command(
                    self.config, self.group.config.name, self.pipes, filename, child_failure_fd
                )
        except OSError as problem:
            self.config.options.close_child_pipes(self.pipes)
            self._close_pipes()
            self._close_failure_pipe()
            self._fail(f"no process can be made: {launch.describe(problem)}")
            return None
        finally:
            if child_failure_fd is not None:
                os.close(child_failure_fd)
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        self._spawn_as_parent(pid)
        self.session = pid
        self.context.orphans.add_session(pid, self._owner)
        with self.context.contained(f"{self.config.name} could not be noted"):
            notes.write(self.context.notes_folder, self._owner, pid)
        self.launched_at = time.monotonic()
        self.context.wakeup.at(self.launched_at + self.config.startsecs)
        return pid

    def _fail(self, reason: str) -> None:
        """Record a start that can't succeed, however often it is tried."""
        self.spawnerr = reason
        # The reason is not logged: it may quote the command, which may hold secrets.
        self.config.options.logger.info(f"could not be started: '{self._namespec}'")
        self._record_end(error=reason)
        self.backoff = 0
        self.change_state(ProcessStates.FATAL)

    def get_execv_args(self) -> tuple[str, list[str]]:
        """Return the command's file and its arguments. Called by supervisord's own interface."""
        return launch.find_command(self.config)

    def check(self) -> None:
        """Raise ProcessException, with the reason, if a start can't succeed."""
        launch.check(self.config)

    # Ending

    def finish(self, pid: int, sts: int) -> None:
        """Handle the end of the process itself; others of its tree may be alive still."""
        with self.context.contained(f"the end of {self.config.name} could not be dealt with"):
            self._finish(sts)
        self.pid = 0
        self._close_pipes()
        self.group.wake()
        self.context.wakeup.poke()  # the next turn of the loop does what follows from the end

    def _finish(self, sts: int) -> None:
        with self.context.contained(f"the last output of {self.config.name} could not be kept"):
            self.drain()
        exit_code, message = decode_wait_status(sts)
        now = time.monotonic()
        self.laststop = time.time()
        failure = self._close_failure_pipe()
        signum = os.WTERMSIG(sts) if os.WIFSIGNALED(sts) else None
        self._record_end(None if signum else exit_code, signum, failure)
        self.exitstatus = exit_code
        self.ending = True
        self.ended_at = now
        if not self.killing:
            self.by = SUPERVISORD
        if self.killing:
            state = None  # STOPPED once the whole tree has ended: see _end_tree
        elif failure:
            self.spawnerr = failure
            state = ProcessStates.FATAL
        elif self.state == ProcessStates.STARTING and exit_code != 0 and self.config.autorestart:
            self.spawnerr = f"exited too quickly ({message})"
            state = ProcessStates.BACKOFF
        else:
            state = ProcessStates.EXITED
        how = "it could not be run" if failure else message
        self.config.options.logger.info(f"ended: '{self._namespec}' ({how})")
        if state is not None:
            self.kill_at = now + self.config.stopwaitsecs
            if state != ProcessStates.BACKOFF:
                self.backoff = 0
            self.change_state(state, expected=exit_code == 0)
            if state == ProcessStates.BACKOFF:
                self.retry_at = now + self.backoff  # one second longer for each attempt
                self.context.wakeup.at(self.retry_at)

    def _close_pipes(self) -> None:
        for dispatcher in self.dispatchers.values():
            dispatcher.close()
        self.config.options.close_parent_pipes(self.pipes)
        self.pipes = {}
        self.dispatchers = {}

    def _record_end(
        self, exit_code: int | None = None, signum: int | None = None, error: str | None = None
    ) -> None:
        """Keep how the run ended, for ``last_run`` (docs/contract.md, section 6)."""
        self.last_run = {
            "pid": self.pid,
            "exit_code": exit_code if error is None else None,
            "signal": _name_of(signum) if signum else None,
            "error": error,
            "ended_at": time.time(),
            "requested": self.killing,
        }

    def _close_failure_pipe(self) -> str | None:
        """Return why the child could not exec the command; None if it did."""
        if self.failure_fd is None:
            return None
        try:
            return os.read(self.failure_fd, 65536).decode(errors="replace") or None
        except BlockingIOError:
            return None
        finally:
            os.close(self.failure_fd)
            self.failure_fd = None

    # Stopping

    def stop(self, by: str = SUPERVISORD) -> None:
        """Stop the whole tree. The state is STOPPING until no process of it is left."""
        if self.state != ProcessStates.STOPPING:
            self.by = by
        self.administrative_stop = True
        self.start_requested = False
        self.laststopreport = 0
        if self.state == ProcessStates.STARTING and not self.pid:
            self.launch_at = None
            self.change_state(ProcessStates.STOPPED)
        elif self.will_restart:
            self.change_state(ProcessStates.STOPPED)
        elif self.state != ProcessStates.STOPPING:  # a second stop must not interrupt the clean-up
            self.kill(signal.SIGTERM if self.config.stopwaitsecs else signal.SIGKILL)

    def kill(self, sig: int) -> str | None:
        """Signal the tree to end; return an error message if nothing runs. Called by supervisord too.

        In BACKOFF there is no process to signal: the pending restart is cancelled.
        """
        if self.state == ProcessStates.BACKOFF:
            self.change_state(ProcessStates.STOPPED)
            return None
        if not self.pid:
            return f"attempted to kill {self.config.name} but it wasn't running"
        if self.state != ProcessStates.STOPPING:
            self.killing = True
            self.ending = True
            self.signalled = set()
            self.kill_at = time.monotonic() + self.config.stopwaitsecs
            self.change_state(ProcessStates.STOPPING)
        self._signal_tree(signal.Signals(sig), time.monotonic() - _LOOK_AGAIN_SECONDS)
        self.context.wakeup.at(self.kill_at)
        return None

    def tree(self, since: float) -> set[Identity]:
        """Return the living processes of the tree: the process, its descendants and its orphans."""
        return descend(self._roots(since))

    def _roots(self, since: float) -> list[int]:
        roots = self.context.orphans.of(self.group.config.name, self.config.name, since)
        return [*roots, self.pid] if self.pid else roots

    def _signal_tree(self, signum: signal.Signals, since: float) -> bool:
        """Signal the processes of the tree, and return whether any may be left.

        Each gets SIGTERM once only. Parents come first, so that a parent that waits for a child learns of
        the stop before the child has ended.
        """
        roots = self._roots(since)
        tree = descend(roots)
        for identity in sorted(tree, key=lambda identity: (identity.start_time, identity.pid)):
            if signum == signal.SIGKILL:
                send(identity, signum)
            elif identity not in self.signalled:
                terminate(identity)
                if self.config.terminal:
                    send(identity, signal.SIGHUP)  # interactive shells ignore SIGTERM
        self.signalled |= tree
        return bool(roots) or self.context.orphans.may_get_more  # an exiting process may have forked

    def _end_tree(self, now: float) -> None:
        """Signal what is left of the tree. Once nothing is left, complete the end."""
        signum = signal.SIGKILL if now >= self.kill_at else signal.SIGTERM
        since = max(self.ended_at, now - _LOOK_AGAIN_SECONDS)
        if self._signal_tree(signum, since) or self.pid:
            self.context.wakeup.at(now + _LOOK_AGAIN_SECONDS)
            return
        self.ending = False
        self.signalled = set()
        notes.forget(self.context.notes_folder, self._owner)
        self.context.orphans.forget_session(self.session)
        with self.context.contained(f"the private folder of {self.config.name} could not be removed"):
            launch.remove_private_folder(self.config)
        if self.state == ProcessStates.STOPPING:
            self.killing = False
            self.change_state(ProcessStates.STOPPED)
        self.context.announce_settled(self.group.config.name)
        self.context.wakeup.poke()

    # The loop's turn

    def transition(self) -> None:
        """Do what is due. Called at each turn of supervisord's loop."""
        now = time.monotonic()
        state = self.state
        if self.ending and (not self.pid or now >= self.kill_at):
            self._end_tree(now)
        if state == ProcessStates.STARTING:
            self._transition_starting(now)
        elif state == ProcessStates.BACKOFF and self.backoff > self.config.startretries:
            self.give_up()
        elif self.config.options.mood > SupervisorStates.RESTARTING and self._is_due(now):
            if not self.start_requested:
                self.start_by = SUPERVISORD
                self.restarts += 1
            self.spawn()

    def _transition_starting(self, now: float) -> None:
        if self.launch_at is not None:
            if now >= self.launch_at:
                self._launch()
        elif self.pid and now >= self.launched_at + self.config.startsecs:
            self.backoff = 0
            self.change_state(ProcessStates.RUNNING)

    @property
    def will_restart(self) -> bool:
        """Whether the process has exited and autorestart will start it again."""
        if self.state != ProcessStates.EXITED or not self.config.autorestart:
            return False
        return self.config.autorestart is RestartUnconditionally or self.exitstatus != 0

    def change_state(self, new_state: int, expected: bool = True) -> bool:
        self.group.wake()
        return bool(super().change_state(new_state, expected))

    @property
    def is_settled(self) -> bool:
        """Whether it changes only by a call or by the end of its process: it runs, or is down for good."""
        if self.ending or self.start_requested or self.launch_at is not None or self.will_restart:
            return False
        return self.state == ProcessStates.RUNNING or self.state in STOPPED_STATES

    @property
    def wanted(self) -> bool:
        """Whether the process is meant to run at the moment."""
        return self.start_requested or self.state in RUNNING_STATES or self.will_restart

    @property
    def is_over(self) -> bool:
        """Whether nothing of it runs or will run by itself."""
        return not (self.pid or self.ending or self.wanted or self.state == ProcessStates.STOPPING)

    def _is_due(self, now: float) -> bool:
        """Return whether a process that is down is to be started now."""
        if self.pid or self.ending or self.state == ProcessStates.STOPPING:
            return False
        if self.start_requested:
            return True
        if self.state == ProcessStates.BACKOFF:
            return now >= self.retry_at
        if not self.will_restart:
            return False
        # A program that always exits at once is restarted once a second at most.
        due = self.launched_at + self.config.startsecs
        if now < due:
            self.context.wakeup.at(due)
        return now >= due

    @property
    def _owner(self) -> notes.Owner:
        return notes.Owner(self.group.config.name, self.config.name)

    @property
    def _namespec(self) -> str:
        """supervisord's full name of the process, for its log."""
        return str(make_namespec(self.group.config.name, self.config.name))

    def snapshot(self) -> ProcessState:
        """Return the process' state as it is reported."""
        shown: ProcessState = {"state": getProcessStateDescription(self.state).lower()}
        if self.pid:
            shown["pid"] = self.pid
            shown["started_at"] = self.laststart
        if self.ending:
            shown["ending"] = True
        if self.restarts:
            shown["restarts"] = self.restarts
        since = time.monotonic() - _ORPHANS_SHOWN_SECONDS
        if orphans := self.context.orphans.of(self.group.config.name, self.config.name, since):
            shown["orphans"] = sorted(orphans)
        if self.last_run:
            shown["last_run"] = self.last_run
        return shown


def _name_of(signum: int) -> str:
    try:
        return signal.Signals(signum).name
    except ValueError:  # a real-time signal: only the first and the last have names
        return f"signal {signum}"
