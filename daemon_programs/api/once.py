"""Requests with an ``Idempotency-Key`` are carried out once, however often they arrive."""

import hashlib
import logging
import re
import uuid
from collections.abc import Callable
from functools import wraps
from typing import Any

import orjson
from django.db import DatabaseError, IntegrityError, transaction
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from daemon_programs.api.base import VIEW, DaemonViewSet
from daemon_programs.api.openapi import once as schemas
from daemon_programs.exceptions import Conflict
from daemon_programs.models import KeptAnswer

logger = logging.getLogger(__name__)

HEADER = "Idempotency-Key"
REPLAYED = "Idempotency-Replayed"  # the header of an answer that was given before

UNKNOWN, UNDER_WAY, ANSWERED, INTERRUPTED = "unknown", "under_way", "answered", "interrupted"
_PROCESS = uuid.uuid4().hex  # the requests of another one that are not answered won't be
_KEY = re.compile(r"[A-Za-z0-9._~-]{1,100}")

Action = Callable[[Any, Request], Response]


def once(action: Action) -> Action:
    """Carry out an action once for each key. A repeated request gets the answer to the first."""

    @wraps(action)
    def keyed(view: DaemonViewSet, request: Request) -> Response:
        key = request.headers.get(HEADER)
        if key is None:
            return action(view, request)
        record = _begin(request, key)
        if record.code is not None:
            return Response(record.answer, record.code, headers={REPLAYED: "true"})
        try:
            response = action(view, request)
        except Exception as problem:
            response = view.handle_exception(problem)
        _keep(record, response)
        return response

    return keyed


def state_of(record: KeptAnswer | None) -> str:
    """Return what has become of a request."""
    if record is None:
        return UNKNOWN
    if record.code is not None:
        return ANSWERED
    return UNDER_WAY if record.process == _PROCESS else INTERRUPTED


def _begin(request: Request, key: str) -> KeptAnswer:
    """Return the record of a request: a new one, or that of the same request if it was answered."""
    _check(key)
    user = request.user.get_username()
    digest = hashlib.sha256(request.path.encode() + b"\0" + _canonical(request.data)).hexdigest()
    try:
        with transaction.atomic():
            return KeptAnswer.objects.create(user=user, key=key, digest=digest, process=_PROCESS)
    except IntegrityError:
        record = KeptAnswer.objects.get(user=user, key=key)
    if record.digest != digest:
        raise Conflict(f"The {HEADER} was used for another request already; nothing was changed")
    if record.code is None and record.process == _PROCESS:
        raise Conflict("The request with this key is under way")
    if record.code is None:
        raise Conflict("The request with this key was interrupted: whether it was carried out is not known")
    return record


def _check(key: str) -> None:
    if not _KEY.fullmatch(key):
        sentence = f"The {HEADER} must be 1 to 100 letters, digits, '.', '_', '~' and '-'"
        raise serializers.ValidationError({HEADER: [sentence]})


def _canonical(body: Any) -> bytes:
    return orjson.dumps(body, option=orjson.OPT_SORT_KEYS | orjson.OPT_NON_STR_KEYS)


def _keep(record: KeptAnswer, response: Response) -> None:
    """Keep an answer. If that fails, the request stays under way for those who ask."""
    record.code, record.answer = response.status_code, response.data
    try:
        record.save(update_fields=["code", "answer"])
    except DatabaseError:
        logger.exception("The answer to a request with a key can't be kept")


class RequestViewSet(DaemonViewSet):
    """What has become of requests with a key."""

    permissions_of = {"retrieve": VIEW}

    @schemas.retrieve_request
    def retrieve(self, request: Request, key: str) -> Response:
        """Return what has become of a request of the user, and its answer."""
        _check(key)
        record = KeptAnswer.objects.filter(user=request.user.get_username(), key=key).first()
        document: dict[str, Any] = {"success": True, "key": key, "state": state_of(record)}
        if record is not None and record.code is not None:
            document |= {"code": record.code, "answer": record.answer}
        return Response(document)
