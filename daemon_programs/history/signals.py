"""Signals that the event listener sends once it has recorded an entry of the journal."""

from django.dispatch import Signal

# Sent for each recorded state change, with ``change``, a `supervisor.events.StateChange`.
state_changed = Signal()


# Sent when a temporary program has ended for good, with ``end``, a `supervisor.events.ProgramEnd`.
program_ended = Signal()
