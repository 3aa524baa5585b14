"""The client and the change reader that all code of this process shares, set up from the settings."""

from django.conf import settings

from daemon_programs import actors
from daemon_programs.supervisor.changes import Changes
from daemon_programs.supervisor.client import Supervisor

supervisor = Supervisor(settings.SUPERVISORD_SOCKET, actors.current)
# Each waiting request holds a thread; half of the threads stay free for other requests.
changes = Changes(settings.CHANGES_SOCKET, most_watches=settings.THREADS // 2)
