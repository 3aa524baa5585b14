"""Connect signals to their effects: one call per receiver.

``docs/architecture.md`` lists the same senders, receivers and effects.
"""

from typing import Any

from django.db import transaction
from django.db.models.signals import post_save, pre_delete
from django.dispatch import receiver

from fleet import database
from fleet.following import part
from fleet.models import Host, Link


@receiver(post_save, sender=Host)
def follow(sender: Any, **kwargs: Any) -> None:
    """Have the follower run after the commit."""
    transaction.on_commit(part.ensure_running, using=database.alias(), robust=True)


@receiver(pre_delete, sender=Host)
def keep_followers_waiting(sender: Any, instance: Host, **kwargs: Any) -> None:
    """Lock the host's link: its follower waits, and then finds that the host is gone.

    Otherwise it might add rows between the deletion of the others and that of the host.
    """
    Link.objects.select_for_update().filter(host=instance).first()
