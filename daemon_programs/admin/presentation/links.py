"""Links from the history to the pages of what it is about, as far as that exists and may be seen.

Rows of the history name groups of supervisord. Each app registers how the pages of its groups are found.
"""

from collections.abc import Callable, Iterable

from django.contrib.auth.models import AnonymousUser, User
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from daemon_programs.models import Program
from daemon_programs.models.program import PROGRAM_PREFIX
from daemon_programs.text import to_number

Reader = User | AnonymousUser
# Returns the addresses of pages by group, of those groups that it knows and that the reader may see.
Finder = Callable[[Reader, set[str]], dict[str, str]]

_finders: list[Finder] = []


def register(finder: Finder) -> Finder:
    """Have a function asked for the pages of groups; for use as a decorator."""
    _finders.append(finder)
    return finder


def pages_of(reader: Reader, groups: Iterable[str]) -> dict[str, str]:
    """Return the address of the page of each group that has one."""
    wanted = set(groups)
    return {group: page for finder in _finders for group, page in finder(reader, wanted).items()}


def linked(text: str, page: str | None) -> SafeString:
    """Return a name that leads to a page, or alone. It keeps its own direction of writing to itself."""
    if page is None:
        return format_html("<bdi>{}</bdi>", text)
    return format_html('<a href="{}"><bdi>{}</bdi></a>', page, text)


@register
def _pages_of_programs(reader: Reader, groups: set[str]) -> dict[str, str]:
    if not reader.has_perm("daemon_programs.view_program"):
        return {}
    numbers = (
        to_number(each.removeprefix(PROGRAM_PREFIX)) for each in groups if each.startswith(PROGRAM_PREFIX)
    )
    existing = Program.objects.filter(pk__in=[number for number in numbers if number is not None])
    return {
        f"{PROGRAM_PREFIX}{id}": reverse("admin:daemon_programs_program_change", args=[id])
        for id in existing.values_list("pk", flat=True)
    }
