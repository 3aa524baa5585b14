"""From an exception to an answer: the one table, the one handler (contract, section 1).

Every error under ``/api/`` is ``{"success": false, "error": "<sentence>"}``, with ``code``, a stable
word for programs, and for validation ``errors``, field → sentences.
"""

import logging
from collections.abc import Callable
from typing import Any

from django.core.exceptions import NON_FIELD_ERRORS, PermissionDenied, RequestDataTooBig, ValidationError
from django.db import DatabaseError
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from rest_framework import exceptions as drf
from rest_framework import status
from rest_framework.response import Response
from rest_framework.views import set_rollback

from daemon_programs import exceptions as daemon
from hoody_site.api.parsers import BodyTooLarge

logger = logging.getLogger(__name__)

STATUS_OF: dict[type[Exception], int] = {
    daemon.ProgramNotFound: status.HTTP_404_NOT_FOUND,
    daemon.DeliveryNotFound: status.HTTP_404_NOT_FOUND,
    daemon.Refused: status.HTTP_400_BAD_REQUEST,
    daemon.SupervisorUnavailable: status.HTTP_503_SERVICE_UNAVAILABLE,
    daemon.ChangeNotTaken: status.HTTP_503_SERVICE_UNAVAILABLE,
    daemon.WaitTimedOut: status.HTTP_504_GATEWAY_TIMEOUT,
    daemon.TooManyWaits: status.HTTP_429_TOO_MANY_REQUESTS,
    daemon.TooManyStreams: status.HTTP_429_TOO_MANY_REQUESTS,
    daemon.StreamsUnavailable: status.HTTP_503_SERVICE_UNAVAILABLE,
    daemon.BackupUnusable: status.HTTP_500_INTERNAL_SERVER_ERROR,
    ValidationError: status.HTTP_400_BAD_REQUEST,
    Http404: status.HTTP_404_NOT_FOUND,
    PermissionDenied: status.HTTP_403_FORBIDDEN,
    RequestDataTooBig: status.HTTP_413_REQUEST_ENTITY_TOO_LARGE,
    DatabaseError: status.HTTP_503_SERVICE_UNAVAILABLE,
    OSError: status.HTTP_503_SERVICE_UNAVAILABLE,
}

SENTENCE_OF: dict[int, str] = {
    400: "The request is malformed",
    401: "Authentication is required: send Authorization: Bearer <token>",
    403: "You do not have the permission to do this",
    404: "There is nothing at this address",
    405: "This method is not allowed here",
    413: BodyTooLarge.default_detail,
    500: "An internal error occurred; the log of the API says more",
    503: "The state of the daemon can't be written or read at the moment",
}


def handle(exception: Exception, context: dict[str, Any]) -> Response:
    """DRF's exception handler. What is not in the table is a 500, and is logged."""
    set_rollback()
    if isinstance(exception, drf.ValidationError):
        return _invalid(_flatten(exception.detail))
    if isinstance(exception, ValidationError):
        return _invalid(_messages_of(exception))
    if isinstance(exception, drf.MethodNotAllowed):
        return _answer(405, f"Method {context['request'].method} is not allowed here", "method_not_allowed")
    if isinstance(exception, drf.APIException):
        response = _answer(exception.status_code, str(exception.detail), exception.get_codes())
        if header := getattr(exception, "auth_header", None):
            response["WWW-Authenticate"] = header
        if wait := getattr(exception, "wait", None):
            response["Retry-After"] = str(wait)
        return response
    code = _status_of(exception)
    if code in (500, 503):
        logger.error("%s: %s", _name_of(context), exception, exc_info=exception if code == 500 else None)
    if isinstance(exception, daemon.DaemonError):
        return _answer(code, str(exception), exception.code, **exception.extra)
    return _answer(code, SENTENCE_OF[code], "internal_error" if code == 500 else None)


def _status_of(exception: Exception) -> int:
    for ancestor in type(exception).__mro__:
        if ancestor in STATUS_OF:
            return STATUS_OF[ancestor]
    return status.HTTP_500_INTERNAL_SERVER_ERROR


def _answer(code: int, sentence: str, word: Any = None, **extra: Any) -> Response:
    body: dict[str, Any] = {"success": False, "error": sentence}
    if isinstance(word, str):
        body["code"] = word
    return Response({**body, **extra}, status=code)


def _invalid(errors: dict[str, list[str]]) -> Response:
    first = next(iter(errors.values()))[0]
    return _answer(400, first, "invalid", errors=errors)


def _messages_of(error: ValidationError) -> dict[str, list[str]]:
    if hasattr(error, "error_dict"):
        return {
            "" if field == NON_FIELD_ERRORS else field: messages
            for field, messages in error.message_dict.items()
        }
    return {"": error.messages}


def _flatten(detail: Any) -> dict[str, list[str]]:
    """DRF nests the errors of nested fields; clients get one level, with dotted names."""
    if isinstance(detail, list):
        return {"": [str(message) for message in detail]}
    flat: dict[str, list[str]] = {}
    for field, messages in detail.items():
        if isinstance(messages, dict):
            nested = _flatten(messages)
            flat.update({f"{field}.{name}": texts for name, texts in nested.items()})
        else:
            name = "" if field == "non_field_errors" else str(field)
            flat[name] = [str(message) for message in messages]
    return flat


def _name_of(context: dict[str, Any]) -> str:
    view = context.get("view")
    return f"{type(view).__name__}.{getattr(view, 'action', '')}"


class JsonErrorsMiddleware:
    """What goes wrong before a view is reached, or outside of DRF, is JSON under ``/api/`` and of
    ``/metrics`` too."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self.get_response(request)
        if (
            response.status_code < 400
            or not request.path_info.startswith(("/api/", "/metrics"))
            or hasattr(response, "accepted_renderer")
        ):
            return response
        code = response.status_code
        return JsonResponse(
            {"success": False, "error": SENTENCE_OF.get(code, response.reason_phrase)}, status=code
        )
