"""The mirror ``ephemeral.json``: live temporary programs, for other tools (docs/contract.md, section 7)."""

from django.conf import settings

from daemon_programs.maintenance.mirror import Mirror, to_text
from quick_start.models import EphemeralProgram
from quick_start.representation import file_document


def _present_text() -> str:
    return to_text({"ephemeral_programs": [file_document(each) for each in EphemeralProgram.objects.live()]})


ephemeral = Mirror(settings.EPHEMERAL_FILE, _present_text)
touch = ephemeral.touch
