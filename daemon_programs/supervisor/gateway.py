"""This process' one line to supervisord, set up from the settings."""

from django.conf import settings

from daemon_programs import actors
from daemon_programs.supervisor.changes import Changes
from daemon_programs.supervisor.client import Supervisor

supervisor = Supervisor(settings.SUPERVISORD_SOCKET, actors.current)
# Waiting requests hold a thread each; enough of them stay free for everybody else.
changes = Changes(settings.CHANGES_SOCKET, most_watches=settings.THREADS // 2)
