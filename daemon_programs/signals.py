"""Connect signals to their effects: one call per receiver.

``docs/architecture.md`` lists the same senders, receivers and effects.
"""

import logging
from typing import Any

from django.db import transaction
from django.db.models.signals import post_delete, post_save
from django.dispatch import receiver

from daemon_programs.history.signals import state_changed
from daemon_programs.maintenance import mirror
from daemon_programs.models import Program
from daemon_programs.programs import registration

logger = logging.getLogger("daemon_programs.events")


@receiver(post_save, sender=Program)
def register_with_supervisord(sender: Any, instance: Program, **kwargs: Any) -> None:
    """Register an enabled program with supervisord, and withdraw a disabled one."""
    (registration.register if instance.enabled else registration.withdraw)(instance)


@receiver(post_delete, sender=Program)
def withdraw_from_supervisord(sender: Any, instance: Program, **kwargs: Any) -> None:
    """Withdraw a removed program from supervisord."""
    registration.withdraw(instance)


@receiver([post_save, post_delete], sender=Program)
def mirror_programs(sender: Any, **kwargs: Any) -> None:
    """Have ``programs.json`` written after the commit."""
    transaction.on_commit(mirror.touch, robust=True)


@receiver(state_changed)
def log_state_change(sender: Any, change: Any, **kwargs: Any) -> None:
    """Log a recorded state change."""
    logger.info("%s", change)
