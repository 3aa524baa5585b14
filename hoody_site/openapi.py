"""What every operation of the OpenAPI document has in common: the errors."""

from typing import Any

_API = "/api/v1/daemon/"
_OPEN = {"getHealth"}
_WAITING = {"startProgram", "stopProgram", "restartProgram", "editProgram", "removeProgram", "disableProgram"}

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
    },
}


def add_common_answers(result: dict[str, Any], **kwargs: Any) -> dict[str, Any]:
    """Add to each operation the errors that it can answer with."""
    result["components"]["schemas"]["Error"] = _ERROR
    for path, operations in result["paths"].items():
        for operation in operations.values():
            for code, description in _errors_of(path, operation).items():
                operation["responses"][code] = {
                    "description": description,
                    "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}},
                }
            operation["responses"] = dict(sorted(operation["responses"].items()))
    return result


def _errors_of(path: str, operation: dict[str, Any]) -> dict[str, str]:
    errors = {"500": "An internal error."}
    if not path.startswith(_API) or operation["operationId"] in _OPEN:
        return errors
    errors |= {
        "400": "The request is not valid, or refused; nothing was changed.",
        "401": "No token, or not a valid one.",
        "403": "The permission is missing.",
        "503": "supervisord can't be reached, or does not take the change.",
    }
    if "{id}" in path:
        errors["404"] = "There is no program of this id."
    if "requestBody" in operation:
        errors |= {"413": "The body is larger than 1 MiB.", "415": "The body is not application/json."}
    if operation["operationId"] in _WAITING:
        errors |= {"429": "Too many requests wait already.", "504": "It did not happen in time."}
    return errors
