"""Generate the configuration of supervisord from the settings, at every start."""

import os
import sys

from django.conf import settings
from django.db import DatabaseError

from daemon_programs.files import replace_text
from daemon_programs.history import store as history
from fleet.following import part as follower
from hoody_site.stack.address import url


def write_supervisord_configuration() -> None:
    """Write ``supervisord.conf``, and close gaps in the history of the previous supervisord."""
    replace_text(settings.SUPERVISORD_CONF, supervisord_configuration())
    history.close_gaps({})


def supervisord_configuration() -> str:
    """Return the text of ``supervisord.conf``, which holds the plugin and the stack's own processes.

    No value needs escaping: the check ``hoody.E003`` refuses paths that would.
    """
    python = sys.executable
    manage = f"{python} -m hoody_daemon"
    server = settings.BASE_DIR / "hoody_site" / "server"
    logs = settings.STACK_LOGS_DIR
    probed = [str(settings.PROBES_SOCKET), *settings.PROBE_HOSTS]
    return f"""\
; Generated at every start. Programs are configured in the folder conf.d.
[supervisord]
nodaemon=true
minfds=64
; clean-up would remove logs of other supervisords from the temporary folder
nocleanup=true
logfile={logs / "supervisord.log"}
logfile_maxbytes=5MB
logfile_backups=2
pidfile={settings.SUPERVISORD_PID}
{"user=root" if os.geteuid() == 0 else ""}

[unix_http_server]
file={settings.SUPERVISORD_SOCKET}
chmod=0600

[supervisorctl]
serverurl=unix://{settings.SUPERVISORD_SOCKET}

[rpcinterface:supervisor]
supervisor.rpcinterface_factory=daemon_programs.supervisor.process_info:make_interface

[rpcinterface:daemon]
supervisor.rpcinterface_factory=daemon_programs.supervisor.plugin.setup:make_interface
folder={settings.PROGRAMS_FOLDER}
socket={settings.CHANGES_SOCKET}
probes={settings.PROBES_SOCKET}
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

[program:prober]
command={python} -m daemon_programs.supervisor.prober {" ".join(probed)}
{_stack_process("prober", priority=-25, stopwaitsecs=5)}

[program:follower]
command={manage} follow_hosts
autostart={str(_has_hosts()).lower()}
{_stack_process("follower", priority=-15, stopwaitsecs=10, autorestart="unexpected")}

[eventlistener:listener]
command={manage} listen_events
events=REMOTE_COMMUNICATION
buffer_size=100000
{_stack_process("listener", priority=-30, stopwaitsecs=5)}
"""


def _has_hosts() -> bool:
    """Return whether there are hosts to follow; a shared database that can't be reached may have some."""
    try:
        return follower.is_wanted()
    except DatabaseError:
        return True


def _stack_process(name: str, *, priority: int, stopwaitsecs: int, autorestart: str = "true") -> str:
    """Return the options that all of the stack's own processes share.

    Their priorities are negative: they start before the programs and stop after them.
    """
    log = settings.STACK_LOGS_DIR / f"{name}.log"
    stream = "stderr" if name == "listener" else "stdout"  # the listener's stdout is its protocol
    return f"""\
directory={settings.BASE_DIR}
priority={priority}
autorestart={autorestart}
startretries=100
stopwaitsecs={stopwaitsecs}
stopasgroup=false
killasgroup=true
{"redirect_stderr=true" if stream == "stdout" else "stdout_logfile=NONE"}
{stream}_logfile={log}
{stream}_logfile_maxbytes=5MB
{stream}_logfile_backups=2"""
