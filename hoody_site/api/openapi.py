"""What the operations of the OpenAPI document have in common: access, success, errors."""

from typing import Any

_TAGS = {
    "programs": "What is to run: registered once, supervised until it is removed.",
    "status": "What runs, and what it uses.",
    "logs": "What it has written.",
    "events": "What has happened.",
    "webhooks": "Deliveries of state changes to receivers.",
    "quick start": "Programs that clean up after themselves.",
    "metrics": "What a monitoring system scrapes.",
    "health": "That the API answers. Open to everybody.",
}
_SCHEMES = {
    "bearerAuth": "An API token.",
    "cookieAuth": "The session of a login to the admin; a POST needs the header X-CSRFToken too.",
}
# Operations that wait for processes, and so can run out of time.
_WAITING = {
    "startProgram",
    "stopProgram",
    "restartProgram",
    "resetPrograms",
    "editProgram",
    "removeProgram",
    "disableProgram",
    "quickStart",
    "stopEphemeralProgram",
}

_ERROR = {
    "type": "object",
    "required": ["success", "error"],
    "properties": {
        "success": {"type": "boolean", "enum": [False]},
        "error": {"type": "string", "description": "One readable sentence."},
        "code": {"type": "string", "description": "A stable word for programs."},
        "errors": {
            "type": "object",
            "description": "Of a validation: field → sentences.",
            "additionalProperties": {"type": "array", "items": {"type": "string"}},
        },
        "temporary_id": {"type": "string", "description": "Of a launch that was not waited for to its end."},
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


_ERRORS = {
    "400": _error(
        "The request is not valid, or refused; nothing was changed.",
        "Program with ID 7 is disabled",
        "refused",
    ),
    "401": _error("No token, or not a valid one.", "The API token is not valid", "authentication_failed"),
    "403": _error(
        "The permission is missing.", "You do not have the permission to do this", "permission_denied"
    ),
    "404": _error("There is nothing of this id.", "Program with ID 999 not found", "not_found"),
    "413": _error(
        "The body is larger than 1 MiB.", "The request body is larger than 1 MiB", "body_too_large"
    ),
    "415": _error(
        "The body is not application/json.",
        'Unsupported media type "text/plain" in request.',
        "unsupported_media_type",
    ),
    "429": _error(
        "Too many requests wait already or streams are open, or too many requests without a valid token have "
        "come from this address.",
        "Too many requests are waiting already; try again later",
        "too_many_waits",
    ),
    "500": _error(
        "An internal error.",
        "An internal error occurred; the log of the API says more",
        "internal_error",
    ),
    "503": _error(
        "supervisord can't be reached or does not take the change, or the database can't be used.",
        "supervisord can't be reached; nothing was changed",
        "supervisor_unavailable",
    ),
    "504": _error(
        "It did not happen in time.", "Program with ID 1 is not running after 30 seconds", "timeout"
    ),
}
_ERRORS["401"]["headers"] = {
    "WWW-Authenticate": {"required": True, "schema": {"type": "string", "enum": ["Bearer"]}}
}
_ERRORS["429"]["headers"] = {
    "Retry-After": {"description": "Seconds.", "schema": {"type": "integer", "minimum": 1}}
}


def complete(result: dict[str, Any], **kwargs: Any) -> dict[str, Any]:
    """Add what holds for the whole document, and to each operation the errors that it can answer with."""
    result["servers"] = [{"url": "/", "description": "This installation."}]
    result["info"]["license"] = {"name": "MIT"}
    components = result["components"]
    for name, description in _SCHEMES.items():
        components["securitySchemes"][name]["description"] = description
    for schema in components["schemas"].values():
        _say_that_it_succeeds(schema)
    components["schemas"]["Error"] = _ERROR
    components["responses"] = {f"Error{code}": answer for code, answer in _ERRORS.items()}
    used = set()
    for path, operations in result["paths"].items():
        for method, operation in operations.items():
            _complete_operation(path, method, operation)
            used.update(operation["tags"])
    result["tags"] = [
        {"name": name, "description": description} for name, description in _TAGS.items() if name in used
    ]
    return result


def _say_that_it_succeeds(schema: dict[str, Any]) -> None:
    """Of a 200 ``success`` is always true."""
    if success := schema.get("properties", {}).get("success"):
        success["enum"] = [True]


def _complete_operation(path: str, method: str, operation: dict[str, Any]) -> None:
    answers = operation["responses"]
    answers["200"]["description"] = operation["summary"]
    for code in _codes_of(path, method, operation):
        answers[code] = {"$ref": f"#/components/responses/Error{code}"}
    operation["responses"] = dict(sorted(answers.items()))


def _codes_of(path: str, method: str, operation: dict[str, Any]) -> set[str]:
    codes = {"500"}
    if "security" not in operation:
        return codes
    codes |= {"401", "403", "429", "503"}
    if "{" in path:
        codes.add("404")
    if method == "post":
        codes |= {"400", "413", "415"}
    if any(parameter["in"] == "query" for parameter in operation.get("parameters", [])):
        codes.add("400")
    if operation["operationId"] in _WAITING:
        codes.add("504")
    return codes
