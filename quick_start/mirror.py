"""``ephemeral.json``: the live temporary programs, for other tools (contract, section 7)."""

from django.conf import settings

from daemon_programs.mirror import Mirror, to_text
from quick_start.documents import file_document
from quick_start.models import EphemeralProgram


def _present_text() -> str:
    return to_text({"ephemeral_programs": [file_document(each) for each in EphemeralProgram.objects.live()]})


ephemeral = Mirror(settings.EPHEMERAL_FILE, _present_text)
touch = ephemeral.touch
