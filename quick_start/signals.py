"""Signal receivers for temporary programs, listed in ``docs/architecture.md``."""

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
    """Refuse a program that claims the terminal session of a live temporary program."""
    check_terminal_is_free(instance.terminal_id)


@receiver(post_save, sender=EphemeralProgram)
def launch_in_supervisord(sender: Any, instance: EphemeralProgram, created: bool, **kwargs: Any) -> None:
    """Register a new temporary program with supervisord, which starts it."""
    if created:
        registration.register(instance)


@receiver(post_save, sender=EphemeralProgram)
def mirror_ephemeral_programs(sender: Any, **kwargs: Any) -> None:
    """Update ``ephemeral.json`` after the transaction."""
    transaction.on_commit(mirror.touch, robust=True)


@receiver(program_ended)
def clean_up(sender: Any, end: ProgramEnd, **kwargs: Any) -> None:
    """Complete the record of a program that has ended."""
    lifecycle.finish_group(end.group, end.state)
