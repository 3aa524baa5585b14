"""The base of the admin pages of programs and temporary programs: live states, and verbs as actions.

An error becomes a message with the same sentence that the API returns.
"""

from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

from django.contrib import admin, messages
from django.contrib.admin.views.main import ChangeList
from django.db.models import QuerySet
from django.forms import Script
from django.http import HttpRequest
from django.urls import URLPattern, path
from django.utils.safestring import SafeString

from daemon_programs.admin.log_page import LogPages
from daemon_programs.admin.presentation.badges import badge
from daemon_programs.admin.usage import usage_view
from daemon_programs.exceptions import DaemonError, WaitTimedOut
from daemon_programs.programs import waiting
from daemon_programs.programs.reported import REPORTED_ERRORS, error_message
from daemon_programs.supervisor.states import ProgramState

Verb = Callable[[Any], object]


class NothingToDo(Exception):
    """A verb that has nothing to do raises it with what is so already, such as "runs already"."""


class Unsuccessful(Exception):
    """A verb that has not led to what was asked for raises it with a message that says it all."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message  # may be safe HTML


def attempt(request: HttpRequest, program: Any, verb: Verb, label: str = "") -> bool:
    """Call a verb with a program, or another record, and return whether it has changed something.

    An error is shown as a message, so that an action can go on with the next record. ``label`` is what a part
    of a program is called, such as an instance.
    """
    try:
        verb(program)
    except NothingToDo as reason:
        messages.info(request, f"{label or f'“{program}”'} {reason}.")
    except Unsuccessful as problem:
        messages.warning(request, problem.message)
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


class LiveAdmin(LogPages):
    """An admin whose list shows the live state of each program, and whose pages show logs."""

    class Media:
        css = {"all": [f"daemon_programs/css/{name}.css" for name in ("program", "logs", "ansi", "forms")]}
        js = [Script("daemon_programs/logs/main.js", type="module")]

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
