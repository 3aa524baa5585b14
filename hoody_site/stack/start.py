"""The stack: one state folder, one supervisord, and in it the API, the queue and the event listener.

``run_stack`` calls what is here in order, then becomes supervisord.
"""

import fcntl
import json
import os
import secrets
import socket
import sys
import time

from django.conf import settings
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Group, Permission
from django.db import connection, transaction
from django.utils import timezone

from daemon_programs import tasks as program_tasks
from daemon_programs.exceptions import BackupUnusable
from daemon_programs.files import remove_leftovers, replace_text
from daemon_programs.history import store as history
from daemon_programs.maintenance import program_sets
from daemon_programs.models import Program
from daemon_programs.programs import registration
from daemon_programs.supervisor.processes import survivors, tree
from daemon_programs.supervisor.processes.notes import Owner
from daemon_programs.supervisor.spec import Specification
from hoody_site import tasks
from hoody_site.access.models import ApiToken
from hoody_site.stack import database
from quick_start import tasks as quick_start_tasks

ADMINISTRATOR = "admin"
# What each ready-made group may do, by permission. Whoever may add programs may run anything.
GROUPS = {
    "viewers": ["view_program", "view_event", "view_delivery", "view_ephemeralprogram"],
    "operators": [
        "view_program",
        "view_event",
        "view_delivery",
        "add_program",
        "change_program",
        "delete_program",
        "operate_program",
        "view_ephemeralprogram",
        "add_ephemeralprogram",
        "delete_ephemeralprogram",
        "operate_ephemeralprogram",
    ],
}
_STACK_GROUPS = {"api", "scheduler", "listener"}
_FOLDERS = (
    settings.STATE_DIR,
    settings.PROGRAMS_FOLDER,
    settings.NOTES_FOLDER,
    settings.LOGS_DIR,
    settings.STACK_LOGS_DIR,
)
# One of these shows that a folder is a stack's, or is meant to be: who moves in may bring the programs.
_OWN_FILES = {
    file.name for file in (settings.LOCK_FILE, settings.PROGRAMS_FILE, settings.DEFAULT_PROGRAMS_FILE)
} | {"db.sqlite3"}
# Above `minfds`, so that supervisord leaves it alone when it sets itself up anew.
_LOCK_DESCRIPTOR = 500


class StackProblem(Exception):
    """Why the stack can't be started, in one sentence."""


def make_state_folder() -> None:
    """The state folder and those in it, for this user only."""
    os.umask(0o077)
    for folder in _FOLDERS:
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            if folder.stat().st_uid != os.geteuid():
                raise PermissionError(f"{folder} belongs to somebody else, who could change all of it")
            if folder == settings.STATE_DIR and _is_of_others():
                raise PermissionError(
                    f"{folder} holds other things: DAEMON_STATE_DIR must be a folder of its own"
                )
            folder.chmod(0o700)
        except OSError as problem:
            raise StackProblem(f"The state folder can't be used: {problem}") from problem


def _is_of_others() -> bool:
    """Whether a folder that a mistyped setting names, such as /srv, would be closed to who uses it."""
    names = {entry.name for entry in settings.STATE_DIR.iterdir()} - {"lost+found"}
    is_open = settings.STATE_DIR.stat().st_mode & 0o077
    return bool(is_open and names and not names & _OWN_FILES)


def make_secret_key() -> None:
    """On the first start. Called with the lock held: there is one key, whoever starts at the same time."""
    if not settings.SECRET_KEY_FILE.exists():
        replace_text(settings.SECRET_KEY_FILE, secrets.token_urlsafe(50) + "\n")


def lock_state_folder() -> int:
    """Make sure that only one stack uses the folder, for as long as this process lives.

    Returns the descriptor that holds the lock: supervisord keeps it, and gives it to no child.
    """
    descriptor = os.open(settings.LOCK_FILE, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    lock = fcntl.fcntl(descriptor, fcntl.F_DUPFD, _LOCK_DESCRIPTOR)
    os.close(descriptor)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise StackProblem(
            f"A stack already runs on {settings.STATE_DIR}: stop it first, or set DAEMON_STATE_DIR and "
            "DAEMON_BIND to run another one beside it"
        ) from None
    for folder in (settings.STATE_DIR, settings.PROGRAMS_FOLDER, settings.BACKUPS_FOLDER):
        remove_leftovers(folder)
    return lock


def check_address(patience_seconds: float = 0.0) -> None:
    """Make sure that the API can have its address.

    Have patience after survivors were ended: the threads of a killed process may still have its sockets
    for a moment when it has gone from the process table.
    """
    deadline = time.monotonic() + patience_seconds
    while problem := _bind():
        if time.monotonic() > deadline:
            raise StackProblem(
                f"{settings.BIND_HOST}:{settings.BIND_PORT} can't be used ({problem.strerror}): stop what "
                "listens there, or set DAEMON_BIND to another host:port"
            ) from problem
        time.sleep(0.05)


def _bind() -> OSError | None:
    """Take the address for a moment; why that can't be done."""
    host = settings.BIND_HOST.strip("[]")
    try:
        family, kind, _, _, address = socket.getaddrinfo(
            host, settings.BIND_PORT, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        with socket.socket(family, kind) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except OSError as problem:
        return problem
    return None


def end_survivors() -> int:
    """End what a killed supervisord has left running; returns how many processes that were.

    Called with the lock held, so nobody else's supervisord is at work here. Programs are asked to
    end and get their grace periods; the stack's own processes have nothing to lose.
    """
    own = set(tree.lineage(os.getpid()))

    def search() -> survivors.Found:
        found = survivors.find(str(settings.SUPERVISORD_SOCKET), str(settings.NOTES_FOLDER))
        if own & {identity.pid for identity in found}:
            raise StackProblem(
                "This is run from within a program that a killed stack has left running, and which is to be "
                "ended before the next start: start the stack from somewhere else"
            )
        return found

    try:
        ended = survivors.end(search, _grace_of)
    except TimeoutError as problem:
        raise StackProblem(f"What a killed stack has left running can't be ended: {problem}") from problem
    for note in settings.NOTES_FOLDER.iterdir():
        note.unlink()
    return len(ended)


def _grace_of(owner: Owner) -> float:
    """As the file says that supervisord had of it: the database may not be readable yet."""
    if owner.group in _STACK_GROUPS:
        return 0
    try:
        return float(json.loads(registration.file_of(owner.group).read_bytes())["stop_grace_seconds"])
    except (OSError, ValueError, KeyError, TypeError):
        return Specification.stop_grace_seconds


def prepare_database() -> None:
    """Migrate, and make what every installation has: groups and schedules."""
    database.check()
    known = _known_permissions()
    database.migrate()
    for file in settings.STATE_DIR.glob("db.sqlite3*"):
        file.chmod(0o600)
    _make_groups(known)
    _make_schedules()


def _known_permissions() -> set[str]:
    """The permissions that there are before the database is migrated."""
    if Permission._meta.db_table not in connection.introspection.table_names():
        return set()
    return set(Permission.objects.values_list("codename", flat=True))


def _make_groups(known: set[str]) -> None:
    """Make the groups, and give them what an upgrade has brought; else they are the administrator's."""
    for name, codenames in GROUPS.items():
        group, created = Group.objects.get_or_create(name=name)
        news = set(codenames) if created else set(codenames) - known
        group.permissions.add(*Permission.objects.filter(codename__in=news))


def _make_schedules() -> None:
    from django_q.models import Schedule

    schedules = [*program_tasks.SCHEDULES, *quick_start_tasks.SCHEDULES, *tasks.SCHEDULES]
    names = [name for name, _, _ in schedules]
    for name, function, minutes in schedules:
        Schedule.objects.update_or_create(
            name=name,
            defaults={
                "func": function,
                "schedule_type": Schedule.MINUTES,
                "minutes": minutes,
                # Else django-q2 would step forward from its last run, one interval at a time.
                "next_run": timezone.now(),
            },
        )
    Schedule.objects.exclude(name__in=names).delete()


def make_first_administrator() -> tuple[str, str] | None:
    """On the first start: an administrator and a token for clients; returns password and token.

    There is no default for either. The token is also kept in ``api-token`` for scripts of this host.
    """
    if _is_set_up():
        return None
    password = secrets.token_urlsafe(12)
    with transaction.atomic():  # nobody is made whose token stands nowhere
        administrator = get_user_model().objects.create_superuser(ADMINISTRATOR, password=password)
        token = ApiToken.issue(administrator, "first start")
        replace_text(settings.API_TOKEN_FILE, token + "\n")
    return password, token


def load_programs() -> None:
    """Into a new database: load the programs; and make the snapshot that ``reset`` goes back to.

    The programs are the snapshot's, or those of a ``programs.json`` that is there already: whoever
    brings one from an installation of before goes on with it, and so does who has lost the database.
    """
    try:
        if not settings.DEFAULT_PROGRAMS_FILE.exists():
            program_sets.make_snapshot(program_sets.shipped_defaults())
        if not _is_set_up() and not Program.objects.exists():
            is_adopted = settings.PROGRAMS_FILE.exists()
            file = settings.PROGRAMS_FILE if is_adopted else settings.DEFAULT_PROGRAMS_FILE
            with registration.offline():
                program_sets.import_programs(program_sets.read_documents(file))
    except BackupUnusable as problem:
        raise StackProblem(f"The programs can't be loaded: {problem}") from problem


def _is_set_up() -> bool:
    """Whether there is an administrator: made last, so until then the next start is a first one again."""
    return get_user_model().objects.exists()


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
supervisor.rpcinterface_factory=daemon_programs.supervisor.plugin.interface:make_interface
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


def url() -> str:
    """Where to point a browser."""
    everywhere = settings.BIND_HOST in ("0.0.0.0", "[::]")  # noqa: S104
    host = "127.0.0.1" if everywhere else settings.BIND_HOST
    return f"http://{host}:{settings.BIND_PORT}/"


def become_supervisord(lock: int) -> None:
    """Replace this process: signals then reach supervisord itself, and nobody else has to live."""
    os.chdir(settings.BASE_DIR)
    environment = {**os.environ, "PYTHONUTF8": "1", "DJANGO_SETTINGS_MODULE": "hoody_site.settings"}
    del environment["TZ"]
    if settings.HOST_TIME_ZONE is not None:
        environment["TZ"] = settings.HOST_TIME_ZONE
    os.set_inheritable(lock, True)
    os.execve(
        sys.executable,
        [sys.executable, "-m", "supervisor.supervisord", "-c", str(settings.SUPERVISORD_CONF)],
        environment,
    )
