"""One process of a program: how it is started, how it ends, how it is stopped.

It differs from supervisord's own in what the contract promises (sections 3 to 6):

- a clean exit in the first second is a finished run, and nothing is ever run twice for it;
- ``autorestart: "false"`` means never, also in the first second;
- what can't be started at all (no such command, no such user, no right to the folder) is ``fatal``
  at once, with a sentence that says why;
- exit code and signal are kept;
- ``delay_seconds`` passes before the command is run, without a process;
- stopping means the whole tree, ``setsid`` children included, and is over when nobody is left;
- a signal sent right after the fork is not lost, and the child sees default signal handling.
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

_LOOK_AGAIN_SECONDS = 0.02  # how often a tree that was told to end is looked at
_ORPHANS_SHOWN_SECONDS = 0.2  # how old a look at the orphans may be that is only to be shown
_ALL_SIGNALS = signal.valid_signals()

# Who brings a change of state about, unless somebody has asked for it.
BOOT = "boot"
SUPERVISORD = "supervisord"


class ProgramProcess(Subprocess):
    """Supervisord's process, kept to the contract."""

    # Deadlines are read off the monotonic clock: nothing hangs when somebody sets the time.
    launch_at: float | None = None  # the end of delay_seconds, while it is waited for
    launched_at = 0.0
    retry_at = 0.0
    ended_at = 0.0
    kill_at = 0.0  # when those that did not heed SIGTERM are killed
    pid: int
    session = 0  # that its process has begun
    spawnerr: str | None
    by = SUPERVISORD  # who brought about the state that it is in
    start_by = SUPERVISORD  # who asked for the start that comes next
    restarts = 0  # how often it was started again by itself
    start_requested = False  # run (again) as soon as the way is free
    ending = False  # processes of the tree are still to be ended
    last_run: dict[str, Any] | None = None  # how the last run ended: see _record_end
    failure_fd: int | None = None  # where the child says why it could not become the program

    def __init__(self, config: ProgramConfig, group: Any) -> None:
        super().__init__(config)
        self.group = group
        self.context = config.context
        self.signalled: set[Identity] = set()

    # Starting

    def spawn(self) -> int | None:
        """Begin a start: at once, or after the delay. Called by supervisord and by ``start``."""
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
            self._fail(f"its logs or its terminal can't be made: {launch.sentence(problem)}")
            return None
        except Exception as problem:
            self.context.log(f"{self._namespec} could not be started: {problem!r}")
            self._fail("it can't be started; the log of supervisord says more")
            return None
        child_failure_fd = None
        # A signal that comes between fork and exec must end the program, not be eaten by the
        # handlers that the child still shares with supervisord.
        mask = signal.pthread_sigmask(signal.SIG_BLOCK, _ALL_SIGNALS)
        try:
            self.failure_fd, child_failure_fd = os.pipe()
            os.set_blocking(self.failure_fd, False)
            pid = self.config.options.fork()
            if not pid:
                launch.become(self.config, self.group.config.name, self.pipes, filename, child_failure_fd)
        except OSError as problem:
            self.config.options.close_child_pipes(self.pipes)
            self._close_pipes()
            self._close_failure_pipe()
            self._fail(f"no process can be made: {launch.sentence(problem)}")
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

    def _fail(self, sentence: str) -> None:
        """Give up on a start that can't succeed however often it is tried."""
        self.spawnerr = sentence
        # Why may quote the command, which is not for logs.
        self.config.options.logger.info(f"could not be started: '{self._namespec}'")
        self._record_end(error=sentence)
        self.backoff = 0
        self.change_state(ProcessStates.FATAL)

    def get_execv_args(self) -> tuple[str, list[str]]:
        """Stock supervisord's name for it, which its own calls use."""
        return launch.find_command(self.config)

    def check(self) -> None:
        """Raise ProcessException, with a sentence, if a start can't succeed."""
        launch.check(self.config)

    # Ending

    def finish(self, pid: int, sts: int) -> None:
        """The process itself has ended (others of its tree may live on for the moment)."""
        with self.context.contained(f"the end of {self.config.name} could not be dealt with"):
            self._finish(sts)
        self.pid = 0
        self._close_pipes()
        self.group.wake()
        self.context.wakeup.poke()  # what follows from an end is done in the loop's next turn

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
            state = None  # STOPPED as soon as the whole tree has gone: see _end_tree
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
                self.retry_at = now + self.backoff  # a second longer each time
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
        """Keep how the run ended, as the contract's ``last_run`` (section 6) shows it."""
        self.last_run = {
            "pid": self.pid,
            "exit_code": exit_code if error is None else None,
            "signal": signum and _name_of(signum),
            "error": error,
            "ended_at": time.time(),
            "requested": self.killing,
        }

    def _close_failure_pipe(self) -> str | None:
        """Why the child could not become the program; None when it did."""
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
        """Stop the whole tree; the state is STOPPING until nobody is left of it."""
        if self.state != ProcessStates.STOPPING:
            self.by = by
        self.administrative_stop = True
        self.start_requested = False
        self.laststopreport = 0
        if self.state == ProcessStates.STARTING and not self.pid:
            self.launch_at = None
            self.change_state(ProcessStates.STOPPED)
        elif self.comes_back:
            self.change_state(ProcessStates.STOPPED)
        elif self.state != ProcessStates.STOPPING:  # once: what tidies up now is left in peace
            self.kill(signal.SIGTERM if self.config.stopwaitsecs else signal.SIGKILL)

    def kill(self, sig: int) -> str | None:
        """Tell the tree to end. As in supervisord, what waits to be started again just isn't."""
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
        """The living processes of this program: its descendants, and its orphans."""
        return descend(self._roots(since))

    def _roots(self, since: float) -> list[int]:
        roots = self.context.orphans.of(self.group.config.name, self.config.name, since)
        return [*roots, self.pid] if self.pid else roots

    def _signal_tree(self, signum: signal.Signals, since: float) -> bool:
        """Signal everybody in the tree, each once with SIGTERM; whether anybody may be left.

        Parents first: who waits for a child hears of the stop before the child has ended.
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
        return bool(roots) or self.context.orphans.may_get_more  # who has just ended may have forked

    def _end_tree(self, now: float) -> None:
        """Go on ending what is left of a tree, until nothing is."""
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
        """What time alone changes; called at each turn of supervisord's loop."""
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
    def comes_back(self) -> bool:
        """Whether a program that has exited is one that autorestart runs again."""
        if self.state != ProcessStates.EXITED or not self.config.autorestart:
            return False
        return self.config.autorestart is RestartUnconditionally or self.exitstatus != 0

    def change_state(self, new_state: int, expected: bool = True) -> bool:
        self.group.wake()
        return bool(super().change_state(new_state, expected))

    @property
    def has_nothing_due(self) -> bool:
        """Whether time alone changes nothing about it: it runs, or is down for good."""
        if self.ending or self.start_requested or self.launch_at is not None or self.comes_back:
            return False
        return self.state == ProcessStates.RUNNING or self.state in STOPPED_STATES

    @property
    def wanted(self) -> bool:
        """Whether the program is meant to run at the moment."""
        return self.start_requested or self.state in RUNNING_STATES or self.comes_back

    @property
    def is_over(self) -> bool:
        """Whether nothing of it runs, nor will by itself."""
        return not (self.pid or self.ending or self.wanted or self.state == ProcessStates.STOPPING)

    def _is_due(self, now: float) -> bool:
        """Whether a process that is down is to be started now."""
        if self.pid or self.ending or self.state == ProcessStates.STOPPING:
            return False
        if self.start_requested:
            return True
        if self.state == ProcessStates.BACKOFF:
            return now >= self.retry_at
        if not self.comes_back:
            return False
        # A program that ends at once and is to run for ever is run once a second, not in a frenzy.
        due = self.launched_at + self.config.startsecs
        if now < due:
            self.context.wakeup.at(due)
        return now >= due

    @property
    def _owner(self) -> notes.Owner:
        return notes.Owner(self.group.config.name, self.config.name)

    @property
    def _namespec(self) -> str:
        """Supervisord's whole name of it, for its log."""
        return str(make_namespec(self.group.config.name, self.config.name))

    def snapshot(self) -> dict[str, Any]:
        """The process' part of ``states``. Times are seconds since the epoch."""
        shown: dict[str, Any] = {"state": getProcessStateDescription(self.state).lower()}
        if self.pid:
            shown.update(pid=self.pid, started_at=self.laststart)
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
    except ValueError:  # of the real-time signals only the first and the last have one
        return f"signal {signum}"
