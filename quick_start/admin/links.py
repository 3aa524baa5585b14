"""Links from the history to temporary programs."""

from django.urls import reverse

from daemon_programs.admin.presentation.links import Reader, register
from quick_start.models import PREFIX, EphemeralProgram


@register
def pages_of_temporary_programs(reader: Reader, groups: set[str]) -> dict[str, str]:
    """Return the pages of the temporary programs whose records are still there."""
    ids = [group for group in groups if group.startswith(PREFIX)]
    if not ids or not reader.has_perm("quick_start.view_ephemeralprogram"):
        return {}
    rows = EphemeralProgram.objects.filter(temporary_id__in=ids).values_list("temporary_id", "pk")
    return {id: reverse("admin:quick_start_ephemeralprogram_change", args=[pk]) for id, pk in rows}
