"""The base of the admin pages of programs and temporary programs: live states, and verbs as actions.

An error becomes a message with the same sentence that the API returns.
"""

import logging
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

from django.contrib import admin, messages
from django.contrib.admin.views.main import ChangeList
from django.core.exceptions import ValidationError
from django.db import DatabaseError
from django.db.models import QuerySet
from django.http import HttpRequest
from django.urls import URLPattern, path
from django.utils.safestring import SafeString

from daemon_programs.admin.presentation.badges import badge
from daemon_programs.admin.usage import usage_view
from daemon_programs.exceptions import DaemonError, WaitTimedOut
from daemon_programs.programs import waiting
from daemon_programs.supervisor.states import ProgramState

logger = logging.getLogger(__name__)

# The errors that become messages; others are bugs.
REPORTED_ERRORS = (DaemonError, ValidationError, DatabaseError, OSError)

Verb = Callable[[Any], object]


class NothingToDo(Exception):
    """A verb that has nothing to do raises it with what is so already, such as "runs already"."""


def error_message(problem: Exception) -> str:
    """Return the message for one of ``REPORTED_ERRORS``; log what the message does not explain."""
    if isinstance(problem, ValidationError):
        return " ".join(problem.messages)
    if isinstance(problem, DaemonError):
        return str(problem)
    logger.error("A change in the admin failed", exc_info=problem)
    return "The state of the daemon can't be written or read at the moment"


def attempt(request: HttpRequest, program: Any, verb: Verb) -> bool:
    """Call a verb with a program, or another record, and return whether it has changed something.

    An error is shown as a message, so that an action can go on with the next record.
    """
    try:
        verb(program)
    except NothingToDo as reason:
        messages.info(request, f"“{program}” {reason}.")
    except WaitTimedOut as problem:
        messages.warning(request, f"“{program}”: {problem}")
    except REPORTED_ERRORS as problem:
        messages.error(request, f"“{program}”: {error_message(problem)}")
    else:
        return True
    return False


def action(name: str, done: str, permission: str, verb: Verb) -> Any:
    """Return an action of the list that calls a verb with each selected program.

    ``done`` is the verb's past participle, which begins the success message.
    """

    @admin.action(description=f"{name.capitalize()} selected programs", permissions=[permission])
    def run(model_admin: "LiveAdmin", request: HttpRequest, programs: QuerySet[Any]) -> None:
        model_admin.run_action(request, programs, verb, done)

    run.__name__ = name
    return run


class LiveChangeList(ChangeList):
    """A page of the list that shows the states of its programs, from one call to supervisord."""

    def get_results(self, request: HttpRequest) -> None:
        """Find the programs of the page, and set ``live`` of each to its state."""
        super().get_results(request)
        if request.method != "GET":
            return  # an action, which redirects to a page that shows the states
        try:
            states = waiting.states()
        except DaemonError as problem:
            messages.warning(request, f"The states of the programs are unknown: {problem}")
            return
        model_admin: Any = self.model_admin
        for program in self.result_list:
            program.live = model_admin.summary(program, states.get(program.group))


class LiveAdmin(admin.ModelAdmin):
    """An admin whose list shows the live state of each program."""

    class Media:
        css = {"all": [f"daemon_programs/css/{name}.css" for name in ("program", "logs", "forms")]}
        js = ["daemon_programs/live_log.js"]

    def get_urls(self) -> list[URLPattern]:
        """Add the address of the usage that the page's chart shows."""
        usage = path(
            "<path:object_id>/usage/",
            self.admin_site.admin_view(partial(usage_view, self)),
            name=f"{self.opts.app_label}_{self.opts.model_name}_usage",
        )
        return [usage, *super().get_urls()]

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        """Return the class of the list."""
        return LiveChangeList

    def summary(self, program: Any, state: ProgramState | None) -> SafeString:
        """Return what the list shows of a program's state."""
        raise NotImplementedError

    @admin.display(description="state")
    def state(self, program: Any) -> str:
        """Return the column of the state."""
        return getattr(program, "live", badge("unknown"))

    def has_operate_permission(self, request: HttpRequest) -> bool:
        """Return whether the user may start, stop and restart."""
        permission = f"{self.opts.app_label}.operate_{self.opts.model_name}"
        return self.has_view_permission(request) and request.user.has_perm(permission)

    def run_action(self, request: HttpRequest, programs: Iterable[Any], verb: Verb, done: str) -> None:
        """Call a verb with each program; report and log the successes."""
        succeeded = [program for program in programs if attempt(request, program, verb)]
        for program in succeeded:
            self.log_change(request, program, f"{done}.")
        if succeeded:
            messages.success(request, f"{done}: {', '.join(map(str, succeeded))}.")
