"""The tasks of the queue that are about hosts."""

from django.conf import settings

from fleet import database
from fleet.following import part
from fleet.models import Rollout
from fleet.rollouts import schedule


def schedules() -> list[tuple[str, str, int]]:
    """Return name, function and interval in minutes of the schedules that a stack needs from its start on."""
    follow = [("follow hosts", "fleet.tasks.follow_hosts", 1)] if settings.HUB_DATABASE_URL else []
    return follow + schedule.schedules()


def follow_hosts() -> None:
    """Have the follower run if another hub has added the first host."""
    if part.is_wanted():
        part.ensure_running()


def drive_rollouts() -> bool:
    """Have the roll-outs that are under way, or that other hubs may begin, driven; return whether so."""
    if not database.is_shared() and not Rollout.objects.active().exists():
        schedule.drive_no_more()
        return False
    from fleet.rollouts import driver  # with what speaks to hosts

    driver.start()
    return True


def carry_out_part(part_id: int) -> str:
    """Take the next step of a roll-out on one host; return how it stands there."""
    from fleet.rollouts import driver, parts

    state = parts.carry_out(part_id)
    driver.start()
    return state
