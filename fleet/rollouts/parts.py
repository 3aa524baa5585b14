"""Carry out the part of one host, step by step.

A step is one task of the queue. It is short, and says in the row what it is about to do. So the worker that
takes a part up again, after a kill or a lost answer, first asks the host what has become of that.
"""

import logging
import uuid
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.db import DataError
from django.db.models import Q
from django.db.models.functions import Now

from fleet import client, database
from fleet.client import PATH, Answer
from fleet.exceptions import HostNotFound, HostUnreachable, NoConnection, TokenUnreadable
from fleet.models import Host, HostCall, Rollout, RolloutPart
from fleet.rollouts import messages

logger = logging.getLogger(__name__)

_State = RolloutPart.State

KEY_HEADER = "Idempotency-Key"
LEASE = timedelta(seconds=30)  # longer than a request to a host may take
_QUESTION_SECONDS = 15.0
# A host that has keys goes on without us, and is asked later.
_KEYED_SECONDS = 3.0
_MOST_SECONDS = 130.0  # of an older host; the queue is killed after 180
_PATIENCE = timedelta(seconds=30)  # with a host that can't be reached
_PATIENCE_AFTER_SENDING = timedelta(minutes=2)
_LONGEST = timedelta(minutes=15)  # beside the time that the programs have
_MOST_ATTEMPTS = 10  # at what a host has no room for at the moment
_OK = 200
_NOT_NOW = (429, 503)
_STACK = settings.QUEUE_NAME
_PROCESS = uuid.uuid4().hex


class _LeaseLost(Exception):
    """Another worker has taken the part over."""


def carry_out(part_id: int) -> str:
    """Take the next step of a part, unless another worker does; return its state."""
    part = _claimed(part_id)
    if part is None:
        return "not ours"
    try:
        _Step(part).take()
    except _LeaseLost:
        return "not ours any more"
    finally:
        release(part)
    return part.state


def release(part: RolloutPart) -> None:
    """Give the lease back, if we still have it."""
    RolloutPart.objects.filter(pk=part.pk, holder=part.holder).update(holder="", held_until=None)


def is_free() -> Q:
    """Return the condition for parts that no worker of any hub holds, by the clock of the database."""
    return Q(held_until__isnull=True) | Q(held_until__lt=Now())


def release_left_over() -> None:
    """Release what earlier processes of this stack's queue held when they were killed."""
    held = RolloutPart.objects.filter(holder__startswith=f"{_STACK}/").exclude(
        holder__startswith=f"{_STACK}/{_PROCESS}/"
    )
    held.update(holder="", held_until=None, due_at=Now())


def _claimed(part_id: int) -> RolloutPart | None:
    holder = f"{_STACK}/{_PROCESS}/{uuid.uuid4().hex}"
    rows = RolloutPart.objects.filter(is_free(), pk=part_id, state=_State.RUNNING)
    if not rows.update(holder=holder, held_until=Now() + LEASE):
        return None
    return RolloutPart.objects.select_related("rollout").get(pk=part_id)


class _Step:
    """One step of a part whose lease we have."""

    host: Host

    def __init__(self, part: RolloutPart) -> None:
        self.part = part
        self.rollout: Rollout = part.rollout

    def take(self) -> None:
        """Ask the host for what is next, or what has become of what it was asked for."""
        try:
            self.host = Host.objects.get(name=self.part.host)
        except Host.DoesNotExist:
            self._give_up(str(HostNotFound(self.part.host)))
            return
        try:
            if self.part.requests is None and not self._prepare():
                return
            if self.part.settles_until is not None:
                self._look_at_programs()
            elif self.part.position >= len(self.part.requests):
                self._succeed()
            elif self.part.sent_at is None:
                self._send()
            else:
                self._find_out()
        except HostUnreachable as problem:
            self._wait_for_host(str(problem))
        except TokenUnreadable as problem:
            self._give_up(str(problem))
        # What answers is no daemon, or another one, or has told what a database can't keep.
        except (AttributeError, KeyError, TypeError, ValueError, DataError):
            logger.exception("The answer of host '%s' can't be understood", self.part.host)
            self._give_up("The host's answer can't be understood")

    # What is asked

    def _prepare(self) -> bool:
        """Find out what is to be sent; return whether that is known now."""
        changes: dict[str, Any] = {}
        if self.rollout.kind == Rollout.Kind.APPLY:
            answer = self._get("programs", include_status="true")
            if not answer.is_ok:
                self._refused(answer)
                return False
            programs = answer.document["programs"]
            if self.part.is_going_back:
                if not self._is_as_it_was_left():
                    return False
                changes["requests"] = messages.back(self.part, programs)
            else:
                changes["former"] = messages.concerned(self.rollout, programs)
        changes.setdefault("requests", messages.forward(self.rollout))
        answer = self._get(f"requests/{self.part.key}")
        self._save(has_keys=answer.is_ok, silent_since=None, **changes)
        return True

    def _is_as_it_was_left(self) -> bool:
        """Fail if the programs have been changed since: what others have made is not to be lost."""
        revision = (self.part.answer or {}).get("revision") if self.part.code == _OK else None
        if revision is None:  # nothing has told how it was left
            return True
        body = {**self.rollout.body, "dry_run": True}
        answer = self._call("POST", messages.APPLY, body=body, seconds=_QUESTION_SECONDS)
        if not answer.is_ok:
            self._refused(answer)
        elif answer.document["revision"] != revision:
            self._fail("the programs have been changed again meanwhile")
        else:
            return True
        return False

    def _send(self, *, is_same: bool = False) -> None:
        """Send the next request, or the same one again."""
        request = self._request
        self._save(
            sent_at=database.now(),
            attempts=self.part.attempts + (not is_same),
            held_until=Now() + LEASE + timedelta(seconds=self._patience()),
        )
        try:
            answer = self._call(
                "POST",
                request["route"],
                body=request["body"],
                seconds=self._patience(),
                headers={KEY_HEADER: self._key} if self._is_keyed else {},
            )
        except NoConnection:
            if not is_same:  # otherwise the one that was sent before may still arrive
                self._save(sent_at=None)
            raise
        except HostUnreachable:
            if not self._is_keyed:
                raise
            self._later(1)  # it takes longer, or the answer was lost: the host will tell which
            return
        self._answered(answer)

    def _find_out(self) -> None:
        """Learn what has become of the request that was sent."""
        if not self._is_keyed:
            self._repeat_or_give_up("The answer was lost")
            return
        answer = self._get(f"requests/{self._key}")
        if not answer.is_ok:
            self._wait_for_host(answer.error)
            return
        state = answer.document["state"]
        if state == "answered":
            self._answered(Answer(answer.document["code"], answer.document["answer"]))
        elif state == "unknown":
            self._send(is_same=True)  # if it is still on its way, the host carries out one of the two
        elif state == "under_way":
            self._wait_for_end()
        else:
            self._repeat_or_give_up("The host was restarted meanwhile")

    def _repeat_or_give_up(self, reason: str) -> None:
        if messages.is_repeatable(self._request):
            self._save(sent_at=None)
            self._send()
        else:
            self._end_unknown(reason)

    def _wait_for_end(self) -> None:
        now = database.now()
        elapsed = now - (self.part.sent_at or now)
        if elapsed > _LONGEST + timedelta(seconds=self.rollout.timeout):
            self._end_unknown("The host has not answered in time")
        else:
            self._later(min(max(1.0, elapsed.total_seconds() / 10), 5.0), silent_since=None)

    def _look_at_programs(self) -> None:
        """Look whether the programs have stayed well, once they had the time for it."""
        until = self.part.settles_until
        if until is not None and until > database.now():
            self._save(due_at=until)
            return
        answer = self._get("programs", include_status="true")
        if not answer.is_ok:
            self._refused(answer)
            return
        problem = messages.unwell(self.part, answer.document["programs"])
        if problem:
            self._fail(problem)
        else:
            self._succeed()

    # What follows from answers

    def _answered(self, answer: Answer) -> None:
        request = self._request
        self._record(answer.code)
        if answer.code in _NOT_NOW and self.part.attempts < _MOST_ATTEMPTS:
            self._save(sent_at=None)
            self._later(2, answer.error)
            return
        problem = messages.problem_of(request, answer.code, answer.document)
        # The answer and what follows from it are saved at once: a worker that is killed in between would
        # leave a part that looks as if nothing had been sent.
        changes: dict[str, Any] = {"silent_since": None}
        if not self.part.is_going_back:
            changes |= {"code": answer.code, "answer": answer.document}
        if problem:
            self._fail(problem, **changes)
            return
        changes |= {"sent_at": None, "position": self.part.position + 1}
        if changes["position"] < len(self.part.requests):
            self._later(0, **changes)
        elif self.rollout.settle_seconds and not self.part.is_going_back:
            until = database.now() + timedelta(seconds=self.rollout.settle_seconds)
            self._save(settles_until=until, due_at=until, error="", **changes)
        else:
            self._succeed(**changes)

    def _refused(self, answer: Answer) -> None:
        """Fail, unless the host has only no room at the moment."""
        if answer.code in _NOT_NOW:
            self._wait_for_host(answer.error)
        else:
            self._fail(answer.error)

    def _wait_for_host(self, problem: str) -> None:
        """Try again in a moment, or give up if that has been so for long."""
        now = database.now()
        since = self.part.silent_since or now
        is_sent = self.part.sent_at is not None
        if now - since < (_PATIENCE_AFTER_SENDING if is_sent else _PATIENCE):
            self._save(silent_since=since)
            self._later(2, problem)
        else:
            self._give_up(problem)

    def _give_up(self, problem: str) -> None:
        """End without knowing more than whether anything was sent."""
        if self.part.sent_at is None:
            self._fail(problem)
        else:
            self._end_unknown(problem)

    def _later(self, seconds: float, problem: str = "", **changes: Any) -> None:
        self._save(due_at=database.now() + timedelta(seconds=seconds), error=problem, **changes)

    def _succeed(self, **changes: Any) -> None:
        self._end(_State.ROLLED_BACK if self.part.is_going_back else _State.SUCCEEDED, **changes)

    def _fail(self, problem: str, **changes: Any) -> None:
        error = f"Not rolled back: {problem}" if self.part.is_going_back else problem
        self._end(_State.FAILED, error, **changes)

    def _end_unknown(self, reason: str) -> None:
        self._record(None, reason)
        self._end(_State.UNKNOWN, f"{reason}: whether the host was changed is not known")

    def _end(self, state: str, error: str = "", **changes: Any) -> None:
        cleared = dict.fromkeys(("sent_at", "due_at", "settles_until"))
        self._save(**{**changes, **cleared, "state": state, "error": error, "ended_at": database.now()})

    # Means

    @property
    def _request(self) -> messages.Request:
        request: messages.Request = self.part.requests[self.part.position]
        return request

    @property
    def _is_keyed(self) -> bool:
        return self.part.has_keys and self._request["route"] in messages.KEYED

    @property
    def _key(self) -> str:
        return f"{self.part.key}-{self.part.attempts}"

    def _patience(self) -> float:
        """Return how many seconds to wait for the answer to a request."""
        return _KEYED_SECONDS if self._is_keyed else min(self.rollout.timeout + 30, _MOST_SECONDS)

    def _get(self, route: str, **query: str) -> Answer:
        return self._call("GET", route, query=query, seconds=_QUESTION_SECONDS)

    def _call(self, method: str, route: str, **options: Any) -> Answer:
        return client.call(self.host, method, route, user=self.rollout.acting_for, **options)

    def _record(self, code: int | None, error: str = "") -> None:
        """Put the request into the history of the hub."""
        with database.recording():
            HostCall.objects.create(
                user=self.rollout.acting_for,
                host=self.part.host,
                method="POST",
                path=PATH + self._request["route"],
                code=code,
                error=error,
            )

    def _save(self, **changes: Any) -> None:
        """Change the row, and hold it for longer; raise _LeaseLost if it is not ours any more."""
        changes.setdefault("held_until", Now() + LEASE)
        rows = RolloutPart.objects.filter(pk=self.part.pk, holder=self.part.holder)
        if not rows.update(**changes):
            raise _LeaseLost
        for name, value in changes.items():
            setattr(self.part, name, value)
