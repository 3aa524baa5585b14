"""What the desks of lasting and of temporary programs have in common: live states, and verbs as actions.

What is refused, or can't be done at the moment, becomes a message, in the words of the API.
"""

import logging
from collections.abc import Callable, Iterable
from typing import Any

from django.contrib import admin, messages
from django.contrib.admin.views.main import ChangeList
from django.core.exceptions import ValidationError
from django.db import DatabaseError
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.safestring import SafeString

from daemon_programs.admin import presentation
from daemon_programs.exceptions import DaemonError, WaitTimedOut
from daemon_programs.programs import waiting
from daemon_programs.supervisor.states import ProgramState

logger = logging.getLogger(__name__)

FAULTS = (DaemonError, ValidationError, DatabaseError, OSError)

Verb = Callable[[Any], object]


def sentence_of(problem: Exception) -> str:
    if isinstance(problem, ValidationError):
        return " ".join(problem.messages)
    if isinstance(problem, DaemonError):
        return str(problem)
    logger.error("A change was not made", exc_info=problem)
    return "The state of the daemon can't be written or read at the moment"


def attempt(request: HttpRequest, program: Any, verb: Verb) -> bool:
    """Do it to one program; if that fails, say so and go on with the next."""
    try:
        verb(program)
    except WaitTimedOut as problem:
        messages.warning(request, f"“{program}”: {problem}")
    except FAULTS as problem:
        messages.error(request, f"“{program}”: {sentence_of(problem)}")
    else:
        return True
    return False


def action(name: str, done: str, permission: str, verb: Verb) -> Any:
    """An action of the list: one verb for each of the chosen programs, each for itself."""

    @admin.action(description=f"{name.capitalize()} selected programs", permissions=[permission])
    def do(page: "LiveAdmin", request: HttpRequest, programs: QuerySet[Any]) -> None:
        page.do_to_each(request, programs, verb, done)

    do.__name__ = name
    return do


class LiveChangeList(ChangeList):
    """The page of programs, with their states from one call to supervisord."""

    def get_results(self, request: HttpRequest) -> None:
        super().get_results(request)
        if request.method != "GET":
            return  # an action; the page that comes after it shows the states
        try:
            states = waiting.states()
        except DaemonError as problem:
            messages.warning(request, f"The states of the programs are unknown: {problem}")
            return
        page: Any = self.model_admin
        for program in self.result_list:
            program.live = page.summary(program, states.get(program.group))


class LiveAdmin(admin.ModelAdmin):
    """The desk of programs; ``summary`` says what its list shows of each of them."""

    class Media:
        css = {"all": ["daemon_programs/admin.css"]}
        js = ["daemon_programs/live_log.js"]

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        return LiveChangeList

    def summary(self, program: Any, state: ProgramState | None) -> SafeString:
        raise NotImplementedError

    @admin.display(description="state")
    def state(self, program: Any) -> str:
        return getattr(program, "live", presentation.badge("unknown"))

    def has_operate_permission(self, request: HttpRequest) -> bool:
        permission = f"{self.opts.app_label}.operate_{self.opts.model_name}"
        return self.has_view_permission(request) and request.user.has_perm(permission)

    def do_to_each(self, request: HttpRequest, programs: Iterable[Any], verb: Verb, done: str) -> None:
        """One verb for each program; what was done is said, and stands in the programs' histories."""
        succeeded = [program for program in programs if attempt(request, program, verb)]
        for program in succeeded:
            self.log_change(request, program, f"{done}.")
        if succeeded:
            messages.success(request, f"{done}: {', '.join(map(str, succeeded))}.")
