"""The scheduled tasks of hosts. Stacks whose hosts are in a shared database have them."""

from fleet.following import part

# Name, function and interval in minutes. `hoody_site.stack.schedules` adds them when the stack starts.
SCHEDULES = [("follow hosts", "fleet.tasks.follow_hosts", 1)]


def follow_hosts() -> None:
    """Have the follower run if another hub has added the first host."""
    if part.is_wanted():
        part.ensure_running()
