"""The configuration of supervisord itself, generated at every start from the settings."""

import os
import sys

from django.conf import settings

from daemon_programs.files import replace_text
from daemon_programs.history import store as history
from hoody_site.stack.address import url


def write_supervisord_configuration() -> None:
    """What supervisord itself is run with, made anew from the settings."""
    replace_text(settings.SUPERVISORD_CONF, supervisord_configuration())
    history.close_gaps({})


def supervisord_configuration() -> str:
    """The text of ``supervisord.conf``: the stack's own processes, and the plugin.

    Every value comes from settings; the check ``hoody.E003`` keeps out paths that need escaping.
    """
    python = sys.executable
    manage = f"{python} {settings.BASE_DIR / 'manage.py'}"
    server = settings.BASE_DIR / "hoody_site" / "server"
    logs = settings.STACK_LOGS_DIR
    return f"""\
; Made anew at every start. The programs are not in here: see the folder conf.d.
[supervisord]
nodaemon=true
minfds=64
; the logs in the temporary folder that it would clean up are other people's
nocleanup=true
logfile={logs / "supervisord.log"}
logfile_maxbytes=5MB
logfile_backups=2
pidfile={settings.STATE_DIR / "supervisord.pid"}
{"user=root" if os.geteuid() == 0 else ""}

[unix_http_server]
file={settings.SUPERVISORD_SOCKET}
chmod=0600

[supervisorctl]
serverurl=unix://{settings.SUPERVISORD_SOCKET}

[rpcinterface:supervisor]
supervisor.rpcinterface_factory=supervisor.rpcinterface:make_main_rpcinterface

[rpcinterface:daemon]
supervisor.rpcinterface_factory=daemon_programs.supervisor.plugin.setup:make_interface
folder={settings.PROGRAMS_FOLDER}
socket={settings.CHANGES_SOCKET}
noted={settings.NOTES_FOLDER}
environment={",".join(settings.PASSED_ENVIRONMENT)}
users={",".join(settings.ALLOWED_USERS)}
work_roots={",".join(settings.WORK_ROOTS)}
log_roots={",".join(settings.LOG_ROOTS)}
logs={settings.LOGS_DIR}
url={url()}

[program:api]
command={python} -m gunicorn -c {server / "gunicorn_conf.py"} hoody_site.wsgi
{_stack_process("api", priority=-10, stopwaitsecs=15)}

[program:scheduler]
command={manage} run_queue
{_stack_process("scheduler", priority=-20, stopwaitsecs=65)}

[eventlistener:listener]
command={manage} listen_events
events=REMOTE_COMMUNICATION
buffer_size=100000
{_stack_process("listener", priority=-30, stopwaitsecs=5)}
"""


def _stack_process(name: str, *, priority: int, stopwaitsecs: int) -> str:
    """What the stack's own processes have in common. Started before the programs, stopped after."""
    log = settings.STACK_LOGS_DIR / f"{name}.log"
    stream = "stderr" if name == "listener" else "stdout"  # the listener's stdout is its protocol
    return f"""\
directory={settings.BASE_DIR}
priority={priority}
autorestart=true
startretries=100
stopwaitsecs={stopwaitsecs}
stopasgroup=false
killasgroup=true
{"redirect_stderr=true" if stream == "stdout" else "stdout_logfile=NONE"}
{stream}_logfile={log}
{stream}_logfile_maxbytes=5MB
{stream}_logfile_backups=2"""
