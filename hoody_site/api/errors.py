"""Turn exceptions into error responses (docs/contract.md, section 1).

Every error under ``/api/`` is ``{"success": false, "error": "<sentence>"}`` and has ``code``, a stable
word that clients can compare, and validation errors have ``errors``, which maps fields to sentences.
"""

import logging
from collections.abc import Callable
from typing import Any

from django.core.exceptions import (
    NON_FIELD_ERRORS,
    DisallowedHost,
    PermissionDenied,
    RequestDataTooBig,
    ValidationError,
)
from django.db import DatabaseError
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from rest_framework import exceptions as drf
from rest_framework import status
from rest_framework.response import Response
from rest_framework.views import set_rollback

from daemon_programs import exceptions as daemon
from daemon_programs.text import printable
from fleet import exceptions as hosts
from hoody_site.api.sentences import fault

logger = logging.getLogger(__name__)

STATUS_BY_EXCEPTION: dict[type[Exception], int] = {
    daemon.ProgramNotFound: status.HTTP_404_NOT_FOUND,
    daemon.DeliveryNotFound: status.HTTP_404_NOT_FOUND,
    daemon.NothingSelected: status.HTTP_404_NOT_FOUND,
    daemon.NotPermitted: status.HTTP_403_FORBIDDEN,
    daemon.Refused: status.HTTP_400_BAD_REQUEST,
    daemon.Conflict: status.HTTP_409_CONFLICT,
    daemon.InputFull: status.HTTP_503_SERVICE_UNAVAILABLE,
    daemon.LogUnreadable: status.HTTP_503_SERVICE_UNAVAILABLE,
    daemon.SupervisorUnavailable: status.HTTP_503_SERVICE_UNAVAILABLE,
    daemon.ChangeNotTaken: status.HTTP_503_SERVICE_UNAVAILABLE,
    daemon.WaitTimedOut: status.HTTP_504_GATEWAY_TIMEOUT,
    daemon.TooManyWaits: status.HTTP_429_TOO_MANY_REQUESTS,
    daemon.TooManyStreams: status.HTTP_429_TOO_MANY_REQUESTS,
    daemon.StreamsUnavailable: status.HTTP_503_SERVICE_UNAVAILABLE,
    daemon.BackupUnusable: status.HTTP_500_INTERNAL_SERVER_ERROR,
    hosts.InviterNotPermitted: status.HTTP_403_FORBIDDEN,
    hosts.HostNotFound: status.HTTP_404_NOT_FOUND,
    hosts.RolloutNotFound: status.HTTP_404_NOT_FOUND,
    hosts.NoHostMatches: status.HTTP_404_NOT_FOUND,
    hosts.NoCurrentHost: status.HTTP_409_CONFLICT,
    hosts.HostUnreachable: status.HTTP_502_BAD_GATEWAY,
    hosts.TokenUnreadable: status.HTTP_503_SERVICE_UNAVAILABLE,
    ValidationError: status.HTTP_400_BAD_REQUEST,
    Http404: status.HTTP_404_NOT_FOUND,
    PermissionDenied: status.HTTP_403_FORBIDDEN,
    RequestDataTooBig: status.HTTP_413_REQUEST_ENTITY_TOO_LARGE,
    DatabaseError: status.HTTP_503_SERVICE_UNAVAILABLE,
    OSError: status.HTTP_503_SERVICE_UNAVAILABLE,
}

_NO_THREAD = "can't start new thread"  # Python has no exception of its own for it


def handle(exception: Exception, context: dict[str, Any]) -> Response:
    """Return the error response for an exception; this is DRF's exception handler.

    An exception that is not in ``STATUS_BY_EXCEPTION`` is answered with 500 and logged with its traceback.
    """
    set_rollback()
    if isinstance(exception, drf.ValidationError):
        return _validation_response(_flatten(exception.detail))
    if isinstance(exception, ValidationError):
        return _validation_response(_messages_of(exception))
    if isinstance(exception, drf.MethodNotAllowed):
        sentence = f"Method {context['request'].method} is not allowed here"
        return _error_response(405, sentence, fault(405).code)
    if isinstance(exception, drf.APIException):
        response = _error_response(exception.status_code, str(exception.detail), exception.get_codes())
        if header := getattr(exception, "auth_header", None):
            response["WWW-Authenticate"] = header
        if wait := getattr(exception, "wait", None):
            response["Retry-After"] = str(wait)
        return response
    status_code = _status_of(exception)
    if status_code in (500, 503):
        traceback = exception if status_code == 500 else None
        logger.error("%s: %s", _action_name(context), exception, exc_info=traceback)
    if isinstance(exception, daemon.DaemonError):
        return _error_response(status_code, str(exception), exception.code, **exception.extra)
    code, sentence = fault(status_code)
    return _error_response(status_code, sentence, code)


def _status_of(exception: Exception) -> int:
    if isinstance(exception, RuntimeError) and str(exception) == _NO_THREAD:
        return status.HTTP_503_SERVICE_UNAVAILABLE
    for ancestor in type(exception).__mro__:
        if ancestor in STATUS_BY_EXCEPTION:
            return STATUS_BY_EXCEPTION[ancestor]
    return status.HTTP_500_INTERNAL_SERVER_ERROR


def _error_response(status_code: int, sentence: str, code: Any, **extra: Any) -> Response:
    word = code if isinstance(code, str) else fault(status_code).code
    return Response({"success": False, "error": sentence, "code": word, **extra}, status=status_code)


def _validation_response(errors: dict[str, list[str]]) -> Response:
    first = next(iter(errors.values()))[0]
    return _error_response(400, first, "invalid", errors=errors)


def _messages_of(error: ValidationError) -> dict[str, list[str]]:
    if hasattr(error, "error_dict"):
        return {
            "" if field == NON_FIELD_ERRORS else field: messages
            for field, messages in error.message_dict.items()
        }
    return {"": error.messages}


def _flatten(detail: Any) -> dict[str, list[str]]:
    """Return DRF's nested errors as one level, with dotted names for nested fields."""
    if isinstance(detail, list):
        return {"": [str(message) for message in detail]}
    flat: dict[str, list[str]] = {}
    for field, messages in detail.items():
        if isinstance(messages, dict):
            nested = _flatten(messages)
            flat.update({f"{field}.{name}" if name else field: texts for name, texts in nested.items()})
        else:
            name = "" if field == "non_field_errors" else str(field)
            flat[name] = [str(message) for message in messages]
    return flat


def _action_name(context: dict[str, Any]) -> str:
    view = context.get("view")
    return f"{type(view).__name__}.{getattr(view, 'action', '')}"


class JsonErrorsMiddleware:
    """Answer errors from outside DRF with JSON, such as unknown addresses; the admin has pages for them."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        try:
            request.get_host()
        except DisallowedHost:
            return _wrong_host(request)
        response = self.get_response(request)
        is_page = request.path_info.startswith("/admin/")
        is_json = response.get("Content-Type", "").startswith("application/json")
        if response.status_code < 400 or is_page or is_json or hasattr(response, "accepted_renderer"):
            return response
        code, sentence = fault(response.status_code)
        answer = _json_error(response.status_code, sentence, code)
        if allowed := response.headers.get("Allow"):
            answer["Allow"] = allowed
        return answer


def _wrong_host(request: HttpRequest) -> HttpResponse:
    host = printable(request.META.get("HTTP_HOST", ""))
    sentence = f"Host '{host}' is not allowed: add its name to DAEMON_ALLOWED_HOSTS"
    return _json_error(400, sentence, "host_not_allowed")


def _json_error(status_code: int, sentence: str, code: str) -> HttpResponse:
    return JsonResponse({"success": False, "error": sentence, "code": code}, status=status_code)
