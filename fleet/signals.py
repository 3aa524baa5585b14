"""Connect signals to their effects: one call per receiver.

``docs/architecture.md`` lists the same senders, receivers and effects.
"""

from typing import Any

from django.db import transaction
from django.db.models.signals import post_save
from django.dispatch import receiver

from fleet import database
from fleet.following import part
from fleet.models import Host


@receiver(post_save, sender=Host)
def follow(sender: Any, **kwargs: Any) -> None:
    """Have the follower run after the commit."""
    transaction.on_commit(part.ensure_running, using=database.alias(), robust=True)
