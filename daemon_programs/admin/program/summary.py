"""What has become of many programs, in one message: "600 started, 400 skipped: disabled"."""

from collections.abc import Iterable
from dataclasses import dataclass

from django.contrib import messages
from django.http import HttpRequest
from django.template.loader import render_to_string

from daemon_programs.programs.batch import Outcome, Result

_MOST_NAMES = 20  # of each group; `list/batch.js` has the same limit
_MOST_GROUPS = 20


@dataclass(frozen=True)
class Group:
    """The programs of which the same has become, for the same reason."""

    outcome: str
    word: str  # as in "600 started", "400 skipped", "12 ran already"
    reason: str  # why they were skipped, or have failed; may be empty
    count: int
    names: list[str]  # the first of them

    @property
    def more(self) -> int:
        """Return how many programs are not named."""
        return self.count - len(self.names)


def groups_of(results: Iterable[Result], done: str) -> list[Group]:
    """Return the results in groups: what is done first, then what was skipped, then the failures.

    ``done`` is the verb's past participle.
    """
    found: dict[tuple[str, str, str], list[str]] = {}
    for result in sorted(results, key=lambda result: list(Outcome).index(result.outcome)):
        key = result.outcome.value, *_words(result, done)
        found.setdefault(key, []).append(result.program.name)
    return [Group(*key, len(names), names[:_MOST_NAMES]) for key, names in found.items()]


def _words(result: Result, done: str) -> tuple[str, str]:
    if result.outcome is Outcome.DONE:
        return done, ""
    if result.outcome is Outcome.SKIPPED:
        word = result.code.replace("_", " ")
        return (word, "") if word.endswith(" already") else (result.outcome.value, word)
    # The sentences of failures begin with the program, which would tell the groups apart.
    reason = result.reason.removeprefix(f"Program with ID {result.program.pk} ").removeprefix("is ")
    return result.outcome.value, reason


def sentence_of(groups: list[Group]) -> str:
    """Return the summary without its details: counts by word, and the reason of those that share it."""
    parts = []
    for word in dict.fromkeys(group.word for group in groups):
        alike = [group for group in groups if group.word == word]
        reasons = {group.reason for group in alike}
        part = f"{sum(group.count for group in alike)} {word}"
        parts.append(f"{part}: {alike[0].reason}" if len(reasons) == 1 and alike[0].reason else part)
    return ", ".join(parts)


def show(request: HttpRequest, results: list[Result], done: str) -> None:
    """Add the message for a batch, with its details folded."""
    groups = groups_of(results, done)
    context = {
        "sentence": sentence_of(groups),
        "groups": groups[:_MOST_GROUPS],
        "more": len(groups) - _MOST_GROUPS,
    }
    text = render_to_string("admin/daemon_programs/program/batch_summary.html", context)
    messages.add_message(request, level_of(groups), text)


def level_of(groups: list[Group]) -> int:
    """Return the level of the message: a failure makes it a warning, and one without any success an error."""
    outcomes = {group.outcome for group in groups}
    if Outcome.FAILED not in outcomes:
        return messages.SUCCESS if Outcome.DONE in outcomes else messages.INFO
    return messages.WARNING if Outcome.DONE in outcomes else messages.ERROR
