"""``POST programs/batch``: one verb for many programs."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from rest_framework.request import Request
from rest_framework.response import Response

from daemon_programs.api.base import CHANGE, OPERATE, REMOVE, VIEW, DaemonViewSet, checked
from daemon_programs.api.once import once
from daemon_programs.api.openapi import operations as schemas
from daemon_programs.exceptions import NotPermitted, ProgramNotFound
from daemon_programs.models import Program
from daemon_programs.models.rows import rows
from daemon_programs.programs import batch, waiting
from daemon_programs.programs.batch import Outcome, Result
from daemon_programs.programs.selection import Selection
from daemon_programs.programs.verbs import Options
from daemon_programs.serializers.batch import OPTIONS, BatchSerializer

PERMISSIONS = {
    **dict.fromkeys(("start", "stop", "restart", "reload", "signal"), OPERATE),
    **dict.fromkeys(("enable", "disable"), CHANGE),
    "remove": REMOVE,
}


class BatchViewSet(DaemonViewSet):
    """Do something with many programs."""

    permissions_of = {"run": VIEW}
    # Those of the action are asked for once it is known; who may do none of them is told first.
    alternatives_of = {"run": [OPERATE, CHANGE, REMOVE]}

    @schemas.batch
    @once
    def run(self, request: Request) -> Response:
        """Call a verb with the programs that are selected, or tell what it would do."""
        body = checked(BatchSerializer, request.data)
        programs, states = rows.all(), waiting.states()
        selection: Selection = body["select"]
        chosen = selection.of(programs, states)
        permitted = _permitted(request.user, PERMISSIONS[body["action"]], chosen)
        call = batch.rehearse if body["dry_run"] else batch.run
        options = Options(**{name: body[name] for name in OPTIONS if name in body})
        results = {result.program.pk: result for result in call(body["action"], permitted, options, states)}
        documents = [
            _document(results.get(program.pk) or batch.failure(program, NotPermitted())) for program in chosen
        ]
        documents += _missing(selection, programs)
        counts = Counter(document["result"] for document in documents)
        return Response(
            {
                "success": True,
                "results": documents,
                "counts": {outcome.value: counts[outcome.value] for outcome in Outcome},
            }
        )

    @classmethod
    def needed_by(cls, action: str, body: Mapping[str, Any]) -> Sequence[str]:
        """Return the permissions of the verb; all of them for an unknown one."""
        return PERMISSIONS.get(str(body.get("action")), [*OPERATE, *CHANGE, *REMOVE])


def _permitted(user: Any, permissions: list[str], programs: list[Program]) -> list[Program]:
    """Return the programs that a user has permissions for; raise NotPermitted if there is none.

    Django's own backend gives them for all programs. Another one may give them for some.
    """
    if user.has_perms(permissions):
        return programs
    lacking = [permission for permission in permissions if not user.has_perm(permission)]
    permitted = [program for program in programs if user.has_perms(lacking, program)]
    if not permitted:
        raise NotPermitted
    return permitted


def _document(result: Result) -> dict[str, Any]:
    document = {"id": result.program.pk, "name": result.program.name, "result": result.outcome.value}
    if result.outcome is Outcome.FAILED:
        return {**document, "error": result.reason, "code": result.code}
    return {**document, "reason": result.reason, "code": result.code} if result.code else document


def _missing(selection: Selection, programs: Iterable[Program]) -> list[dict[str, Any]]:
    """Return failures for what is named and does not exist: it must not look as if it were done."""
    ids, names = selection.missing(programs)
    return [
        *({"id": id, **_not_found(str(ProgramNotFound(id)))} for id in ids),
        *({"name": name, **_not_found(f"Program with name '{name}' not found")} for name in names),
    ]


def _not_found(sentence: str) -> dict[str, Any]:
    return {"result": Outcome.FAILED.value, "error": sentence, "code": ProgramNotFound.code}
