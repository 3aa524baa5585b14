"""Which programs supervisord holds, beside the folder that describes them."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from daemon_programs.supervisor.plugin.configuration import ProgramGroupConfig, read
from daemon_programs.supervisor.plugin.context import Context
from daemon_programs.supervisor.plugin.group import ProgramGroup
from daemon_programs.supervisor.plugin.process import BOOT


class Registry:
    """Supervisord's program groups, changed one at a time: no change looks at any other program."""

    def __init__(self, context: Context, supervisord: Any, folder: Path) -> None:
        self.context = context
        self.supervisord = supervisord
        self.folder = folder

    def load(self) -> None:
        """Take every program of the folder; one that can't be read doesn't keep out the others."""
        for file in sorted(self.folder.glob("*.json")):
            try:
                config = self._read(file)
                # What was temporary has ended with the supervisord that ran it.
                if not config.spec["temporary"]:
                    self.add(config, BOOT)
            except (OSError, ValueError, KeyError, TypeError) as problem:
                self.context.log(f"left out: {file.name} can't be read ({problem!r})")

    def apply(self, name: str, by: str) -> ProgramGroup:
        """Bring one program to what its file says."""
        config = self._read(self.folder / f"{name}.json")
        group = self.find(name)
        if group is None:
            return self.add(config, by)
        anew = group.withdrawn
        group.replace(config, by)
        if anew and group.changing and config.spec["autostart"]:
            group.restarting = [each.name for each in config.process_configs]
        return self.supervisord.process_groups[name]

    def add(self, config: ProgramGroupConfig, by: str) -> ProgramGroup:
        """A program that supervisord does not know yet: started if it is one to start at boot."""
        self.supervisord.add_process_group(config)
        group: ProgramGroup = self.supervisord.process_groups[config.name]
        if config.spec["autostart"]:
            group.queue(group.processes, by)
            self.context.wakeup.poke()
        return group

    def _read(self, file: Path) -> ProgramGroupConfig:
        return read(self.context, file, lambda config: ProgramGroup(config, self))

    def exchange(self, group: ProgramGroup, config: ProgramGroupConfig, restart: Iterable[str]) -> None:
        """Put a new group in the place of one of which nothing runs any more."""
        self.supervisord.remove_process_group(group.config.name)
        self.supervisord.add_process_group(config)
        successor: ProgramGroup = self.supervisord.process_groups[config.name]
        wanted = set(restart)
        successor.queue([name for name in successor.processes if name in wanted], group.changed_by)
        self.context.announce_settled(config.name)
        self.context.wakeup.poke()

    def drop(self, name: str) -> None:
        """Forget a program of which nothing runs any more."""
        self.supervisord.remove_process_group(name)
        self.context.announce_settled(name)

    def find(self, name: str) -> ProgramGroup | None:
        """A program's group; never one of the stack's own."""
        group = self.supervisord.process_groups.get(name)
        return group if isinstance(group, ProgramGroup) else None

    def groups(self) -> list[ProgramGroup]:
        return [
            group for group in self.supervisord.process_groups.values() if isinstance(group, ProgramGroup)
        ]

    def configs(self) -> list[ProgramGroupConfig]:
        return [group.config for group in self.groups()]
