"""The plugin's factory, which supervisord calls on start and reload, before it starts any process."""

import contextlib
import ctypes
import fcntl
import os
import resource
import stat
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from supervisor.http import deferring_http_channel

from daemon_programs.supervisor.plugin.context import Context, Limits
from daemon_programs.supervisor.plugin.hooks import Hooks
from daemon_programs.supervisor.plugin.interface import ProgramsInterface
from daemon_programs.supervisor.plugin.loop import Loop
from daemon_programs.supervisor.plugin.memory import MemoryWatch
from daemon_programs.supervisor.plugin.orphans import Orphans
from daemon_programs.supervisor.plugin.parts import Part
from daemon_programs.supervisor.plugin.programs.registry import Registry
from daemon_programs.supervisor.plugin.shutdown import Shutdown
from daemon_programs.supervisor.plugin.sockets.broadcast import Broadcast
from daemon_programs.supervisor.plugin.sockets.journal import Journal
from daemon_programs.supervisor.plugin.sockets.notices import Notices
from daemon_programs.supervisor.plugin.sockets.probing import Probing
from daemon_programs.supervisor.plugin.wakeup import Wakeup
from daemon_programs.supervisor.processes.marks import Marks

_PR_SET_CHILD_SUBREAPER = 36


@dataclass
class _Persistent:
    """What is kept when supervisord reloads (SIGHUP)."""

    journal: Journal = field(default_factory=Journal)
    marks: Marks = field(default_factory=Marks)
    open_files: tuple[int, int] | None = None
    context: Context | None = None  # from before the reload


_persistent = _Persistent()


def make_interface(supervisord: Any, **settings: str) -> ProgramsInterface:
    """Build the objects of the plugin, load the programs, and return the XML-RPC interface.

    The settings are those of the section in supervisord's configuration:

    - ``folder`` of the program files, ``noted``, the folder of notes, ``socket`` of the broadcast,
      ``probes``, the socket for the prober, and ``url`` of the API;
    - ``environment``, the names of the variables that programs inherit from supervisord;
    - the limits of programs: ``users``, ``work_roots``, ``log_roots``, ``logs``.
    """
    deferring_http_channel.ac_out_buffer_size = 1024 * 1024  # an answer is sent in one turn of the loop
    _make_descriptors_private()
    _become_subreaper()
    _append_to_own_output()
    context = _make_context(supervisord, settings)
    for part in [each for group in supervisord.process_groups.values() for each in group.processes.values()]:
        Part(part, context)
    registry = Registry(context, supervisord, Path(settings["folder"]))
    registry.load()
    _include_programs_on_reread(supervisord.options, registry)
    Shutdown(supervisord, context).install()
    hooks = Hooks(registry)
    hooks.subscribe()
    supervisord.reap = hooks.reap
    Loop(registry).install()
    context.wakeup.poke()  # otherwise the first turn waits a second before it starts anything
    return ProgramsInterface(registry, settings["url"])


def _make_context(supervisord: Any, settings: dict[str, str]) -> Context:
    if _persistent.context is not None:
        _persistent.context.wakeup.detach()
        _persistent.context.broadcast.detach()
        _persistent.context.probing.detach()
        _persistent.context.notices.detach()
    if _persistent.open_files is None:
        _persistent.open_files = _raise_open_files_limit()
    options = supervisord.options
    socket_map = options.get_socket_map()

    wakeup = Wakeup(socket_map)
    _persistent.context = Context(
        options=options,
        wakeup=wakeup,
        broadcast=Broadcast(settings["socket"], socket_map),
        probing=Probing(settings["probes"], socket_map),
        notices=Notices(socket_map, wakeup),
        journal=_persistent.journal,
        memory=MemoryWatch(wakeup.at, options.logger.critical),
        orphans=Orphans(options.pidhistory, settings["noted"]),
        marks=_persistent.marks,
        limits=Limits(
            users=_listed(settings["users"]),
            work_roots=_listed(settings["work_roots"]),
            log_roots=_listed(settings["log_roots"]),
            logs=settings["logs"],
            open_files=_persistent.open_files,
        ),
        notes_folder=settings["noted"],
        passed_environment=_listed(settings["environment"]),
    )
    return _persistent.context


def _become_subreaper() -> None:
    """Make supervisord the parent of orphaned processes, so that they can be found and ended."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_CHILD_SUBREAPER)")


def _make_descriptors_private() -> None:
    """Let no child inherit descriptors from before supervisord, such as the lock of the state folder."""
    for entry in os.listdir("/proc/self/fd"):
        descriptor = int(entry)
        if descriptor > 2:
            try:
                os.set_inheritable(descriptor, False)
            except OSError:
                continue  # the descriptor of this very listing


def _append_to_own_output() -> None:
    """Append to the files that standard output and error go to, which programs may use as their log too.

    Without it supervisord would overwrite what a program has written to ``/dev/stdout`` since.
    """
    for descriptor in (1, 2):
        with contextlib.suppress(OSError):  # closed
            if stat.S_ISREG(os.fstat(descriptor).st_mode):
                flags = fcntl.fcntl(descriptor, fcntl.F_GETFL)
                fcntl.fcntl(descriptor, fcntl.F_SETFL, flags | os.O_APPEND)


def _raise_open_files_limit() -> tuple[int, int]:
    """Raise the limit, for the pipes and logs of a thousand programs; return the original soft and hard one.

    Programs get the original limit back.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return soft, hard


def _include_programs_on_reread(options: Any, registry: Registry) -> None:
    """Show the programs to supervisord's own ``reread`` and ``update``, which would remove them otherwise."""
    process_config = options.process_config

    def with_programs(do_usage: bool = True) -> None:
        process_config(do_usage=do_usage)
        options.process_group_configs = options.process_group_configs + registry.configs()

    options.process_config = with_programs


def _listed(text: str) -> tuple[str, ...]:
    return tuple(filter(None, text.split(",")))
