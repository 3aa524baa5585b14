"""How all programs stand, asked for once in each request."""

from django.http import HttpRequest

from daemon_programs.admin.presentation.standings import Overall


def overall_of(request: HttpRequest) -> Overall:
    """Return how all programs stand at the time of a request."""
    known: Overall | None = getattr(request, "overall", None)
    if known is None:
        known = request.overall = Overall.now()  # type: ignore[attr-defined]
    return known
