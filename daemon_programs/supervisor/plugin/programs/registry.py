"""Add, replace and remove programs in supervisord, as their files say."""

import secrets
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from supervisor import events

from daemon_programs.supervisor.instances import FIRST_NUMBER
from daemon_programs.supervisor.plugin.context import Context
from daemon_programs.supervisor.plugin.programs.configuration import ProgramGroupConfig, read
from daemon_programs.supervisor.plugin.programs.dependencies import Dependencies
from daemon_programs.supervisor.plugin.programs.group import ProgramGroup
from daemon_programs.supervisor.plugin.programs.process import BOOT


class Registry:
    """The program groups of supervisord. A change of one reads no other program or file."""

    def __init__(self, context: Context, supervisord: Any, folder: Path) -> None:
        self.context = context
        self.supervisord = supervisord
        self.folder = folder
        self.dependencies = Dependencies()
        # By their `id()`: to supervisord two groups are equal if their priorities are.
        self.awake: dict[int, ProgramGroup] = {}
        self.boot = secrets.token_hex(8)  # whose changes are numbered
        self.changes = 0  # so far
        self.names_changed = 0  # the number of the last addition or removal
        for change in (events.ProcessGroupAddedEvent, events.ProcessGroupRemovedEvent):
            events.subscribe(change, self.note_names)

    def load(self) -> None:
        """Add all programs of the folder. One that can't be read is logged and left out."""
        for file in sorted(self.folder.glob("*.json")):
            try:
                config = self._read(file)
                # Temporary programs are not run again after a restart of supervisord.
                if not config.spec["temporary"]:
                    self.add(config, BOOT)
            except (OSError, ValueError, KeyError, TypeError) as problem:
                self.context.log(f"left out: {file.name} can't be read ({problem!r})")

    def apply(self, name: str, by: str) -> ProgramGroup:
        """Read a program's file, and add or replace the program; return its group.

        Raise OSError, ValueError, KeyError or TypeError if the file can't be read.
        """
        config = self._read(self.folder / f"{name}.json")
        group = self.find(name)
        if group is None:
            return self.add(config, by)
        was_withdrawn = group.withdrawn
        group.replace(config, by)
        if was_withdrawn and group.changing and config.spec["autostart"]:
            group.restarting = [each.name for each in config.process_configs]
        return self.supervisord.process_groups[name]

    def add(self, config: ProgramGroupConfig, by: str) -> ProgramGroup:
        """Add a new program, and start it if it autostarts."""
        self.supervisord.add_process_group(config)
        group: ProgramGroup = self.supervisord.process_groups[config.name]
        self._note_name(group)
        if config.spec["autostart"]:
            group.queue(group.processes, by)
            self.context.wakeup.poke()
        return group

    def _read(self, file: Path) -> ProgramGroupConfig:
        return read(self.context, file, lambda config: ProgramGroup(config, self))

    def replace(self, group: ProgramGroup, config: ProgramGroupConfig, restart: Iterable[str]) -> None:
        """Replace a group of which nothing runs by one with another configuration.

        Then start those of the ``restart`` processes that it still has.
        """
        self.dependencies.remove(group)
        self.supervisord.remove_process_group(group.config.name)
        self.supervisord.add_process_group(config)
        successor: ProgramGroup = self.supervisord.process_groups[config.name]
        self._note_name(successor)
        wanted = set(restart)
        only_or_first = {config.name, FIRST_NUMBER.process}
        if wanted & only_or_first:  # what was the only process is now the first one, or the reverse
            wanted |= only_or_first
        successor.queue([name for name in successor.processes if name in wanted], group.changed_by)
        self.context.announce_settled(config.name)
        self.context.wakeup.poke()

    def drop(self, name: str) -> None:
        """Remove a group of which nothing runs."""
        group = self.find(name)
        if group is not None:
            self.dependencies.remove(group)
        self.supervisord.remove_process_group(name)
        self.context.announce_settled(name)

    def _note_name(self, group: ProgramGroup) -> None:
        if not group.config.spec["temporary"]:
            self.dependencies.add(group)

    def find(self, name: str) -> ProgramGroup | None:
        """Return a program's group; None if there is none. Never returns one of the stack's own."""
        group = self.supervisord.process_groups.get(name)
        return group if isinstance(group, ProgramGroup) else None

    def groups(self) -> list[ProgramGroup]:
        """Return the groups of all programs."""
        return [
            group for group in self.supervisord.process_groups.values() if isinstance(group, ProgramGroup)
        ]

    def note_names(self, event: Any) -> None:
        """Note that a group was added or removed. Called by supervisord, also if an operator has done it."""
        self.names_changed = self.count_change()

    def count_change(self) -> int:
        """Return the number of a change that has just been made."""
        self.changes += 1
        return self.changes

    def awake_groups(self) -> list[ProgramGroup]:
        """Return the groups that have something to do, in the order in which they woke up."""
        self.awake = {
            key: group
            for key, group in self.awake.items()
            if group.due_at == 0.0 and self.find(group.config.name) is group
        }
        return list(self.awake.values())

    def configs(self) -> list[ProgramGroupConfig]:
        """Return the configurations of all programs."""
        return [group.config for group in self.groups()]
