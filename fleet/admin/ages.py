"""How old what is known of a host is, for people: what is old must never look as if it were true now."""

from django.utils.html import format_html
from django.utils.safestring import SafeString

from daemon_programs.admin.presentation.badges import Severity, badge
from daemon_programs.admin.presentation.times import ago
from fleet.models import Link
from fleet.reading.hosts import KnownHost

_SEVERITIES = {
    Link.State.NEW.value: Severity.NEUTRAL,
    Link.State.CURRENT.value: Severity.GOOD,
    Link.State.LOST.value: Severity.BAD,
    Link.State.REFUSED.value: Severity.BAD,
}


def host_badge(host: KnownHost) -> SafeString:
    """Return the badge of a host's state."""
    return badge(host.state, severity=_SEVERITIES[host.state])


def last_heard(host: KnownHost) -> SafeString | str:
    """Return when a host was last heard of: "last heard 3 minutes ago"."""
    return format_html("last heard {}", ago(host.heard_at)) if host.heard_at else "never heard"


def state_badge(state: str, host: KnownHost) -> SafeString:
    """Return the badge of a program's state; of a host that is not current, as one that may not be true."""
    if host.is_current:
        return badge(state)
    return badge(state, last_heard(host), Severity.WARNING)
