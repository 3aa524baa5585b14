"""The wiring of temporary programs: one call each. ``docs/architecture.md`` has the same table."""

from typing import Any

from django.db import transaction
from django.db.models.signals import post_save, pre_save
from django.dispatch import receiver

from daemon_programs.history.signals import program_ended
from daemon_programs.models import Program
from daemon_programs.programs import registration
from daemon_programs.supervisor.events import ProgramEnd
from quick_start import lifecycle, mirror
from quick_start.models import EphemeralProgram, check_terminal_is_free


@receiver(pre_save, sender=Program)
def keep_terminals_apart(sender: Any, instance: Program, **kwargs: Any) -> None:
    check_terminal_is_free(instance.terminal_id)


@receiver(post_save, sender=EphemeralProgram)
def launch_in_supervisord(sender: Any, instance: EphemeralProgram, created: bool, **kwargs: Any) -> None:
    if created:
        registration.register(instance)


@receiver(post_save, sender=EphemeralProgram)
def mirror_ephemeral_programs(sender: Any, **kwargs: Any) -> None:
    transaction.on_commit(mirror.touch, robust=True)


@receiver(program_ended)
def clean_up(sender: Any, end: ProgramEnd, **kwargs: Any) -> None:
    lifecycle.finish_group(end.group, end.state)
