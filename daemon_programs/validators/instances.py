"""Validate how many processes a program has."""

from django.core.exceptions import ValidationError

NUMPROCS = (1, 1000)


def check_numprocs(
    numprocs: int, *, has_ports: bool, terminal_id: int | None, ready_port: int | None
) -> None:
    """Refuse several processes together with a port range, and with what they would have to share."""
    if numprocs == 1:
        return
    if has_ports:
        raise ValidationError({"numprocs": "Field 'numprocs' can't be combined with port_range"})
    if terminal_id is not None:
        raise ValidationError({"terminal_id": "Field 'terminal_id' can't be combined with numprocs"})
    if ready_port is not None:
        raise ValidationError({"ready_port": "Field 'ready_port' can't be combined with numprocs"})
