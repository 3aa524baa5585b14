"""``manage.py follow_hosts``: follow the hosts, which supervisord runs on a hub."""

from typing import Any

from django.core.management.base import BaseCommand


class Command(BaseCommand):
    """Follow the hosts."""

    help = "Follow the hosts (supervisord runs this as the follower)."
    requires_system_checks = []

    def handle(self, *args: Any, **options: Any) -> None:
        """Follow the hosts until it is stopped, or there are none."""
        import asyncio

        from fleet.following.follower import Follower

        async def follow() -> None:
            await Follower().run()

        asyncio.run(follow())
