"""The wiring between changes and what follows from them: one call each, all of it here.

``docs/architecture.md`` has the same table: sender, receiver, effect.
"""

import logging
from typing import Any

from django.db import transaction
from django.db.models.signals import post_delete, post_save
from django.dispatch import Signal, receiver

from daemon_programs import mirror, sync
from daemon_programs.models import Program

logger = logging.getLogger("daemon_programs.events")

# Sent by the event listener for each state change once it is recorded, with ``change``: a
# `supervisor.events.StateChange`.
state_changed = Signal()
# Sent by it when a temporary program is over, with ``end``: a `supervisor.events.ProgramEnd`.
program_ended = Signal()


@receiver(post_save, sender=Program)
def bring_into_supervisord(sender: Any, instance: Program, **kwargs: Any) -> None:
    (sync.register if instance.enabled else sync.withdraw)(instance)


@receiver(post_delete, sender=Program)
def withdraw_from_supervisord(sender: Any, instance: Program, **kwargs: Any) -> None:
    sync.withdraw(instance)


@receiver([post_save, post_delete], sender=Program)
def mirror_programs(sender: Any, **kwargs: Any) -> None:
    transaction.on_commit(mirror.touch, robust=True)


@receiver(state_changed)
def log_state_change(sender: Any, change: Any, **kwargs: Any) -> None:
    logger.info("%s", change)
