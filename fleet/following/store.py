"""Write what was heard: events, programs and the position of a host in one transaction."""

from collections.abc import Mapping
from datetime import datetime, timedelta

from django.db.models import F

from daemon_programs.history import retention
from fleet import database
from fleet.following import leases
from fleet.following.heard import Heard, ProgramNow
from fleet.following.known import state_of
from fleet.models import FollowedEvent, FollowedProgram, HostUsage, Link

_PROGRAM_FIELDS = ["name", "enabled", "state", "labels", "cpu_percent", "memory_bytes", "document"]
_TIMES = ("since", "heard_at")  # of a link
_USAGE_OF_PROGRAMS_KEPT = timedelta(hours=1)
_USAGE_KEPT = timedelta(days=1)


def write(follower: str, batch: Mapping[int, Heard]) -> set[int]:
    """Write what was heard, by host; return the hosts that the follower does not hold any more.

    Of those nothing is written: another follower hears the same from them. An event that is there already
    is left out, since a follower that was cut off may have written it. Times are written by the clock of the
    database, which those that read them compare with.
    """
    with database.recording():
        links = leases.locked(follower, batch.keys())
        held = {link: batch[host] for host, link in links.items()}
        for link, heard in held.items():
            if heard.replaced_after is not None:
                # They stay in the hub's history, with numbers that no host gives.
                replaced = FollowedEvent.objects.filter(host=link.host_id, number__gt=heard.replaced_after)
                replaced.update(number=-F("id"))
                link.position = heard.replaced_after
        FollowedEvent.objects.bulk_create(
            [event for link, heard in held.items() for event in _new_events(link, heard)],
            ignore_conflicts=True,
        )
        _write_programs(held)
        ahead = database.clock_ahead()
        HostUsage.objects.bulk_create(
            [row for link, heard in held.items() for row in _usage(link, heard, ahead)], ignore_conflicts=True
        )
        _write_links(held, ahead)
    return batch.keys() - links.keys()


def purge() -> int:
    """Delete events that are too old or too many, of all hosts together, and old usage; return how many."""
    HostUsage.objects.filter(minute__lt=database.now() - _USAGE_KEPT).delete()
    return retention.purge(FollowedEvent.objects.all())


def empty_usage(since: datetime | None = None) -> datetime:
    """Forget what each program has used in minutes that are over an hour old; return the end of these.

    ``since`` is the end of the last time: without it the minutes of a whole day are looked through.
    """
    end = database.now() - _USAGE_OF_PROGRAMS_KEPT
    minutes = HostUsage.objects.filter(minute__lt=end).exclude(programs={})
    (minutes.filter(minute__gte=since) if since else minutes).update(programs={})
    return end


def _new_events(link: Link, heard: Heard) -> list[FollowedEvent]:
    return [
        FollowedEvent(
            host_id=link.host_id,
            number=event["id"],
            at=datetime.fromisoformat(event["at"]),
            program_id=event.get("program_id"),
            name=event["name"],
            state=event["state"],
            document=event,
        )
        for event in heard.events
        if link.position is None or event["id"] > link.position
    ]


def _write_links(held: Mapping[Link, Heard], ahead: timedelta) -> None:
    changed = set()
    for link, heard in held.items():
        position = {} if heard.position is None else {"position": heard.position}
        for name, value in {**heard.link, **position}.items():
            setattr(link, name, value + ahead if name in _TIMES else value)
            changed.add(name)
    if changed:
        Link.objects.bulk_update(list(held), sorted(changed))


def _write_programs(held: Mapping[Link, Heard]) -> None:
    for link, heard in held.items():
        programs = FollowedProgram.objects.filter(host=link.host_id)
        if heard.has_all_programs:
            programs.exclude(program_id__in=[id for id, now in heard.programs.items() if now]).delete()
        elif gone := [id for id, now in heard.programs.items() if now is None]:
            programs.filter(program_id__in=gone).delete()
    FollowedProgram.objects.bulk_create(
        [
            _program(link, id, now)
            for link, heard in held.items()
            for id, now in heard.programs.items()
            if now is not None
        ],
        update_conflicts=True,
        unique_fields=["host", "program_id"],
        update_fields=_PROGRAM_FIELDS,
    )


def _program(link: Link, id: int, now: ProgramNow) -> FollowedProgram:
    document = now.document
    return FollowedProgram(
        host_id=link.host_id,
        program_id=id,
        name=document["name"],
        enabled=document["enabled"],
        state=state_of(document),
        labels=document.get("labels", {}),
        cpu_percent=now.usage and now.usage.cpu_percent,
        memory_bytes=now.usage and now.usage.memory_bytes,
        document=document,
    )


def _usage(link: Link, heard: Heard, ahead: timedelta) -> list[HostUsage]:
    return [
        HostUsage(
            host_id=link.host_id,
            minute=(usage.at + ahead).replace(second=0, microsecond=0),
            cpu_percent=round(sum(used.cpu_percent for used in usage.programs.values()), 1),
            memory_bytes=sum(used.memory_bytes for used in usage.programs.values()),
            programs={str(id): list(used) for id, used in usage.programs.items()},
        )
        for usage in heard.usage
    ]
