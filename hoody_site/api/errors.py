"""Turn exceptions into error responses (docs/contract.md, section 1).

Every error under ``/api/`` is ``{"success": false, "error": "<sentence>"}``. Most have ``code``, a stable
word that clients can compare, and validation errors have ``errors``, which maps fields to sentences.
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

STATUS_BY_EXCEPTION: dict[type[Exception], int] = {
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

SENTENCE_BY_STATUS: dict[int, str] = {
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
    """Return the error response for an exception; this is DRF's exception handler.

    An exception that is not in ``STATUS_BY_EXCEPTION`` is answered with 500 and logged with its traceback.
    """
    set_rollback()
    if isinstance(exception, drf.ValidationError):
        return _validation_response(_flatten(exception.detail))
    if isinstance(exception, ValidationError):
        return _validation_response(_messages_of(exception))
    if isinstance(exception, drf.MethodNotAllowed):
        return _error_response(
            405, f"Method {context['request'].method} is not allowed here", "method_not_allowed"
        )
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
    code = "internal_error" if status_code == 500 else None
    return _error_response(status_code, SENTENCE_BY_STATUS[status_code], code)


def _status_of(exception: Exception) -> int:
    for ancestor in type(exception).__mro__:
        if ancestor in STATUS_BY_EXCEPTION:
            return STATUS_BY_EXCEPTION[ancestor]
    return status.HTTP_500_INTERNAL_SERVER_ERROR


def _error_response(status_code: int, sentence: str, code: Any = None, **extra: Any) -> Response:
    body: dict[str, Any] = {"success": False, "error": sentence}
    if isinstance(code, str):
        body["code"] = code
    return Response({**body, **extra}, status=status_code)


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
            flat.update({f"{field}.{name}": texts for name, texts in nested.items()})
        else:
            name = "" if field == "non_field_errors" else str(field)
            flat[name] = [str(message) for message in messages]
    return flat


def _action_name(context: dict[str, Any]) -> str:
    view = context.get("view")
    return f"{type(view).__name__}.{getattr(view, 'action', '')}"


class JsonErrorsMiddleware:
    """Answer errors from outside DRF, such as unknown routes, with JSON under ``/api/`` and ``/metrics``."""

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
            {"success": False, "error": SENTENCE_BY_STATUS.get(code, response.reason_phrase)}, status=code
        )
