"""The hosts, and what is known of them."""

from fleet.models.call import HostCall
from fleet.models.copies import FollowedEvent, FollowedProgram, HostUsage
from fleet.models.host import Host, Invitation
from fleet.models.link import Follower, Link
from fleet.models.rollout import Rollout, RolloutPart

__all__ = [
    "FollowedEvent",
    "FollowedProgram",
    "Follower",
    "Host",
    "HostCall",
    "HostUsage",
    "Invitation",
    "Link",
    "Rollout",
    "RolloutPart",
]
