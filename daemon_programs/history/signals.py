"""The signals that the event listener sends once a change is recorded."""

from django.dispatch import Signal

# Sent by the event listener for each state change once it is recorded, with ``change``: a
# `supervisor.events.StateChange`.
state_changed = Signal()


# Sent by it when a temporary program is over, with ``end``: a `supervisor.events.ProgramEnd`.
program_ended = Signal()
