"""Complete the OpenAPI document with what all operations share: authentication, success, errors."""

from typing import Any

from hoody_site.api.sentences import fault

_TAGS = {
    "programs": "Programs that are registered once and supervised until they are removed.",
    "status": "Which programs run, and the resources that they use.",
    "logs": "What programs have written to their logs.",
    "events": "The history of state changes.",
    "webhooks": "Deliveries of state changes to receivers.",
    "quick start": "Temporary programs, which are cleaned up when they end.",
    "hosts": "Other daemons, which this one shows and steers as their hub.",
    "roll-outs": "Changes of many hosts, a few at a time.",
    "metrics": "Metrics for monitoring systems.",
    "health": "Whether the API answers. No authentication is needed.",
}
_SCHEMES = {
    "bearerAuth": "An API token.",
    "cookieAuth": "The session of an admin login; a POST also needs the header X-CSRFToken.",
}
_CONFLICTING = {"applyPrograms", "batchPrograms"}  # the latter with an `Idempotency-Key`
# Operations that wait for processes, so that they can time out.
_SELECTING = {  # a word may name no program, or no host
    "applyToHosts",
    "batchOnHosts",
    "getLogs",
    "streamLogs",
    "listFleetPrograms",
    "getFleetStatus",
    "listFleetEvents",
    "streamFleetEvents",
    "getFleetUsage",
    "getFleetLogs",
}
_WAITING = {
    "applyToHosts",
    "batchOnHosts",
    "startProgram",
    "stopProgram",
    "restartProgram",
    "reloadProgram",
    "resetPrograms",
    "applyPrograms",
    "editProgram",
    "removeProgram",
    "disableProgram",
    "quickStart",
    "stopEphemeralProgram",
}
_PASSED_ON = {"readOfHost", "changeOnHost"}  # with the answers of the host

_ERROR = {
    "type": "object",
    "required": ["success", "error", "code"],
    "properties": {
        "success": {"type": "boolean", "enum": [False]},
        "error": {"type": "string", "description": "One readable sentence."},
        "code": {"type": "string", "description": "A stable word that clients can compare."},
        "errors": {
            "type": "object",
            "description": "After a failed validation: sentences by field.",
            "additionalProperties": {"type": "array", "items": {"type": "string"}},
        },
        "temporary_id": {
            "type": "string",
            "description": "The id of a temporary program that was launched before the error.",
        },
        "not_ready": {
            "type": "array",
            "description": "Of `programs/apply` with `wait`: the programs that are not ready, and why.",
            "items": {
                "type": "object",
                "required": ["name", "id", "reason"],
                "properties": {
                    "name": {"type": "string"},
                    "id": {"type": "integer"},
                    "reason": {"type": "string"},
                },
            },
        },
        "rolled_back": {
            "type": "boolean",
            "description": "Of `programs/apply` with `rollback`: whether the former configuration is back.",
        },
        "rollout_id": {
            "type": "integer",
            "description": "The id of a roll-out that goes on after the wait for it.",
        },
        "parts": {
            "type": "object",
            "description": "Of `GET ready`: whether each part of the stack works.",
            "additionalProperties": {"type": "boolean"},
        },
    },
}


def _error(description: str, sentence: str, word: str) -> dict[str, Any]:
    return {
        "description": description,
        "content": {
            "application/json": {
                "schema": {"$ref": "#/components/schemas/Error"},
                "example": {"success": False, "error": sentence, "code": word},
            }
        },
    }


def _fault(status: int, description: str) -> dict[str, Any]:
    code, sentence = fault(status)
    return _error(description, sentence, code)


_ERRORS = {
    "400": _error(
        "The request is not valid or was refused, or its Host is not allowed; nothing was changed.",
        "Program with ID 7 is disabled",
        "refused",
    ),
    "401": _error(
        "The token is missing or not valid.", "The API token is not valid", "authentication_failed"
    ),
    "403": _error(
        "The permission is missing, or a one-time code is not valid.",
        "You do not have the permission to do this",
        "permission_denied",
    ),
    "404": _error("Nothing has that id or name.", "Program with ID 999 not found", "not_found"),
    "405": _fault(405, "The route does not have this method."),
    "408": _fault(408, "The request did not arrive within 30 seconds."),
    "409": _error(
        "The programs are not as in the given revision, or belong to another set, or the request with this "
        "`Idempotency-Key` is another one, or under way; nothing was changed.",
        "Program 'web' belongs to the set 'blog', not to 'shop'",
        "conflict",
    ),
    "413": _fault(413, "The body is larger than 1 MiB."),
    "414": _fault(414, "The address with its query is too long."),
    "415": _error(
        "The body is not application/json.",
        'Unsupported media type "text/plain" in request.',
        "unsupported_media_type",
    ),
    "417": _fault(417, "The header Expect asks for something else than 100-continue."),
    "429": _error(
        "Too many requests are waiting, too many streams are open, or too many requests without a valid "
        "token came from this address.",
        "Too many requests are waiting already; try again later",
        "too_many_waits",
    ),
    "431": _fault(431, "There are more than 100 headers, or one is longer than 8190 bytes."),
    "500": _fault(500, "An internal error."),
    "501": _fault(501, "The Transfer-Encoding is not supported."),
    "502": _error(
        "The host can't be reached, does not accept the hub's token, or is no daemon. What was sent may have "
        "arrived.",
        "Host 'web-1' can't be reached: Connection refused",
        "host_unreachable",
    ),
    "503": _error(
        "supervisord can't be reached or does not accept the change, or the database can't be used.",
        "supervisord can't be reached; nothing was changed",
        "supervisor_unavailable",
    ),
    "504": _error("The wait timed out.", "Program with ID 1 is not running after 30 seconds", "timeout"),
}
# Errors that no route can exclude: unknown query parameters, a wrong host, what the server refuses itself.
_ALWAYS = {"400", "408", "414", "417", "431", "500", "501"}
_ERRORS["401"]["headers"] = {
    "WWW-Authenticate": {"required": True, "schema": {"type": "string", "enum": ["Bearer"]}}
}
_ERRORS["429"]["headers"] = {
    "Retry-After": {"description": "Seconds.", "schema": {"type": "integer", "minimum": 1}}
}


def complete(result: dict[str, Any], **kwargs: Any) -> dict[str, Any]:
    """Add the shared parts to the document, and to each operation the errors that it can return.

    This is a postprocessing hook of drf-spectacular.
    """
    result["servers"] = [{"url": "/", "description": "This installation."}]
    result["info"]["license"] = {"name": "MIT"}
    components = result["components"]
    for name, description in _SCHEMES.items():
        components["securitySchemes"][name]["description"] = description
    for schema in components["schemas"].values():
        _fix_success(schema)
    components["schemas"]["Error"] = _ERROR
    components["responses"] = {f"Error{code}": response for code, response in _ERRORS.items()}
    used = set()
    for path, operations in result["paths"].items():
        for method, operation in operations.items():
            _complete_operation(path, method, operation)
            used.update(operation["tags"])
    result["tags"] = [
        {"name": name, "description": description} for name, description in _TAGS.items() if name in used
    ]
    return result


def _fix_success(schema: dict[str, Any]) -> None:
    """Declare that ``success`` is always true in the schema of a 200."""
    if success := schema.get("properties", {}).get("success"):
        success["enum"] = [True]


def _complete_operation(path: str, method: str, operation: dict[str, Any]) -> None:
    responses = operation["responses"]
    responses["200"]["description"] = operation["summary"]
    for code in _error_codes(path, method, operation):
        responses[code] = {"$ref": f"#/components/responses/Error{code}"}
    operation["responses"] = dict(sorted(responses.items()))


def _error_codes(path: str, method: str, operation: dict[str, Any]) -> set[str]:
    codes = set(_ALWAYS)
    if operation["operationId"] == "getReady":
        codes.add("503")
    if operation["operationId"] == "joinHub":
        codes |= {"403", "413", "415", "429", "503"}
    if "security" not in operation:
        return codes
    codes |= {"401", "403", "429", "503"}
    if "{" in path or operation["operationId"] in _SELECTING:
        codes.add("404")
    if method == "post":
        codes |= {"413", "415"}
    if operation["operationId"] in _CONFLICTING:
        codes.add("409")
    if operation["operationId"] in _PASSED_ON:
        codes |= {"405", "409", "502", "504"}
    if operation["operationId"] in _WAITING:
        codes.add("504")
    return codes
