"""The sentence and the code of each error status, for errors that have none of their own.

Without Django: the server answers with them too, before a request reaches Django.
"""

import json
from http import HTTPStatus
from typing import NamedTuple


class Fault(NamedTuple):
    """What an error response says."""

    code: str  # a stable word
    sentence: str


FAULT_BY_STATUS: dict[int, Fault] = {
    400: Fault("malformed", "The request is malformed"),
    401: Fault("not_authenticated", "Authentication is required: send Authorization: Bearer <token>"),
    403: Fault("permission_denied", "You do not have the permission to do this"),
    404: Fault("not_found", "There is nothing at this address"),
    405: Fault("method_not_allowed", "This method is not allowed here"),
    408: Fault("request_timeout", "The request did not arrive completely in time"),
    413: Fault("body_too_large", "The request body is larger than 1 MiB"),
    414: Fault("address_too_long", "The address of the request is longer than 8190 bytes"),
    417: Fault("expectation_failed", "The server can't do what the header Expect asks for"),
    431: Fault("headers_too_large", "The request has too many or too long headers"),
    500: Fault("internal_error", "An internal error occurred; the log of the API says more"),
    501: Fault("not_implemented", "The transfer encoding of the request is not supported"),
    503: Fault("state_unavailable", "The state of the daemon can't be written or read at the moment"),
}


def fault(status: int) -> Fault:
    """Return what an error with this status says."""
    return FAULT_BY_STATUS.get(status) or Fault(phrase(status).lower().replace(" ", "_"), phrase(status))


def phrase(status: int) -> str:
    """Return the standard phrase of a status."""
    return HTTPStatus(status).phrase


def error_body(status: int) -> bytes:
    """Return the body of an error response as JSON."""
    code, sentence = fault(status)
    return json.dumps({"success": False, "error": sentence, "code": code}).encode()
