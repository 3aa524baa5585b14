"""Django settings. Only this module reads the environment; ``docs/settings.md`` lists the variables.

An invalid value does not raise here: it is collected in ``ENVIRONMENT_PROBLEMS``, and the system check
``hoody.E001`` in ``checks.py`` reports it with a hint.
"""

import ipaddress
import os
import re
import secrets
from pathlib import Path
from typing import Any, cast

from environs import Env, EnvValidationError, ValidationError

from hoody_daemon import __version__, installation
from hoody_site import engines

BASE_DIR = installation.PROJECT

VERSION = __version__
COMMAND = installation.command()  # for messages that tell people what to type

env = Env(eager=False, prefix="DAEMON_")


def _absolute(path: str) -> Path:
    if not path.startswith("/"):
        raise ValidationError("must be an absolute path")
    return Path(os.path.normpath(path))


def _host_and_port(text: str) -> tuple[str, int]:
    match = re.fullmatch(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9.-]+):(\d{1,5})", text)
    if not match or not 1 <= int(match[2]) <= 65535:
        raise ValidationError("must be host:port, such as 127.0.0.1:8000")
    return match[1], int(match[2])


def _networks(texts: list[str]) -> None:
    for text in texts:
        try:
            ipaddress.ip_network(text)
        except ValueError:
            raise ValidationError(
                f"must be addresses or networks with commas between them; '{text}' is none"
            ) from None


def _between(low: int, high: int) -> Any:
    def check(value: int) -> None:
        if not low <= value <= high:
            raise ValidationError(f"must be between {low} and {high}")

    return check


def _each(pattern: str, label: str) -> Any:
    """Return a validator of lists; ``label`` describes their items in the error message."""

    def check(values: list[str]) -> None:
        for value in values:
            if not re.fullmatch(pattern, value):
                raise ValidationError(f"must be {label} with commas between them; '{value}' is none")

    return check


def _read(name: str, kind: str, default: Any, **options: Any) -> Any:
    """Return the value of a variable; its default if it is missing, empty or not valid."""
    DOCUMENTED.append(f"DAEMON_{name}")
    if os.environ.get(f"DAEMON_{name}", "") == "":
        return default
    value = getattr(env, kind)(name, **options)
    return default if value is None else value


# The plugin gets these paths through supervisord's configuration, which would expand other characters, or
# split or cut the path at them.
_SAFE_PATH = r"/[^\s%;#'\"\\,]*"
DOCUMENTED: list[str] = []  # all variables, for the check of unknown names and the test of docs/settings.md

# Environment

STATE_DIR = _absolute(str(installation.default_state_folder()))
if raw_state_dir := _read("STATE_DIR", "str", "", validate=_absolute):
    STATE_DIR = _absolute(raw_state_dir)
BIND_HOST, BIND_PORT = "127.0.0.1", 8000
if raw_bind := _read("BIND", "str", "", validate=_host_and_port):
    BIND_HOST, BIND_PORT = _host_and_port(raw_bind)
DEBUG = _read("DEBUG", "bool", False)
THREADS = _read("THREADS", "int", 64, validate=_between(8, 512))
STREAMS = _read("STREAMS", "int", 500, validate=_between(1, 5000))
PASSED_ENVIRONMENT = _read(
    "PASS_ENVIRONMENT", "list", [], validate=_each("[A-Za-z_][A-Za-z0-9_]*", "names of variables")
)
ALLOWED_USERS = _read("ALLOWED_USERS", "list", [], validate=_each(r"[^\s%;#'\"\\:/]+", "names of users"))
WORK_ROOTS = _read("WORK_ROOTS", "list", [], validate=_each(_SAFE_PATH, "absolute paths"))
LOG_ROOTS = _read("LOG_ROOTS", "list", [], validate=_each(_SAFE_PATH, "absolute paths"))
KIT_ROOT = _read("KIT_ROOT", "str", "/hoody/plugins", validate=_absolute)
EXTRA_HOSTS = _read(
    "ALLOWED_HOSTS", "list", [], validate=_each(r"\*|\.?[A-Za-z0-9.-]+|\[[0-9A-Fa-f:.]+\]", "host names")
)
CSRF_TRUSTED_ORIGINS = _read(
    "CSRF_TRUSTED_ORIGINS",
    "list",
    [],
    validate=_each(r"https?://[^/\s]+", "origins such as https://daemon.example.com"),
)
EPHEMERAL_RETENTION = _read("EPHEMERAL_RETENTION", "int", 600, validate=_between(0, 30 * 86400))
EVENTS_MOST = _read("EVENTS_MOST", "int", 100_000, validate=_between(1000, 10_000_000))
EVENTS_DAYS = _read("EVENTS_DAYS", "int", 30, validate=_between(1, 3650))
HTTPS = _read("HTTPS", "bool", False)
# Proxies whose X-Forwarded-For is believed. Without any, with HTTPS: those on loopback.
TRUSTED_PROXIES = [
    ipaddress.ip_network(text) for text in _read("TRUSTED_PROXIES", "list", [], validate=_networks)
]
# Hosts that probes may lead to, in addition to loopback. The prober gets them as an argument.
PROBE_HOSTS = _read(
    "PROBE_HOSTS",
    "list",
    [],
    validate=_each(r"[A-Za-z0-9][A-Za-z0-9.-]*|[0-9A-Fa-f:.]+(/\d{1,3})?", "hosts, addresses or networks"),
)
METRICS_OPEN = _read("METRICS_OPEN", "bool", False)
WEBHOOKS_DEVELOPMENT = _read("WEBHOOKS_DEVELOPMENT", "bool", False)
WEBHOOKS_CA_FILE = _read("WEBHOOKS_CA_FILE", "str", None, validate=_absolute)
# They hold passwords: neither is ever logged or shown.
DATABASE_URL = _read("DATABASE_URL", "str", "", validate=engines.check_database_url)
BROKER_URL = _read("BROKER_URL", "str", "", validate=engines.check_broker_url)
HUB_DATABASE_URL = _read("HUB_DATABASE_URL", "str", "", validate=engines.check_database_url)
# The key that encrypts the tokens of hosts. One that isn't given is made when it is first needed.
raw_hosts_key = _read("HOSTS_KEY_FILE", "str", "", validate=_absolute)
HOSTS_KEY_IS_GIVEN = bool(raw_hosts_key)

try:
    env.seal()
    ENVIRONMENT_PROBLEMS: dict[str, list[str]] = {}
except EnvValidationError as problem:
    ENVIRONMENT_PROBLEMS = {
        name: list(messages)
        for name, messages in cast("dict[str, list[str]]", problem.error_messages).items()
    }
UNKNOWN_VARIABLES = sorted(
    name for name in os.environ if name.startswith("DAEMON_") and name not in DOCUMENTED
)

# The state folder, which holds all data of this installation

LOGS_DIR = STATE_DIR / "logs"
STACK_LOGS_DIR = STATE_DIR / "stack-logs"
PROGRAMS_FOLDER = STATE_DIR / "conf.d"
NOTES_FOLDER = STATE_DIR / "running"
SUPERVISORD_CONF = STATE_DIR / "supervisord.conf"
SUPERVISORD_PID = STATE_DIR / "supervisord.pid"
SUPERVISORD_SOCKET = STATE_DIR / "supervisor.sock"
CHANGES_SOCKET = STATE_DIR / "changes.sock"
PROBES_SOCKET = STATE_DIR / "probes.sock"
LOCK_FILE = STATE_DIR / "stack.lock"
WEBHOOKS_LOCK = STATE_DIR / "webhooks.lock"
SECRET_KEY_FILE = STATE_DIR / "secret-key"
HOSTS_KEY_FILE = Path(raw_hosts_key or STATE_DIR / "hosts-key")
ADMIN_HOST_FILE = STATE_DIR / "admin-host"
API_TOKEN_FILE = STATE_DIR / "api-token"
PROGRAMS_FILE = STATE_DIR / "programs.json"
BACKUPS_FOLDER = STATE_DIR / "backups"
RESTORE_FOLDER = STATE_DIR / "restoring"
DEFAULT_PROGRAMS_FILE = STATE_DIR / "programs.default.json"
EPHEMERAL_FILE = STATE_DIR / "ephemeral.json"
SAMPLES_FILE = STATE_DIR / "samples"
SHIPPED_DEFAULT_PROGRAMS_FILE = installation.fixtures() / "programs.default.json"

# Logs are created with the permissions of the stack's user. A user who may choose any path could overwrite
# that user's files.
if ALLOWED_USERS and not LOG_ROOTS:
    LOG_ROOTS = [str(LOGS_DIR)]

# Django overwrites TZ with its own TIME_ZONE; programs are to keep the host's.
HOST_TIME_ZONE = os.environ.get("TZ")

# The variables of the stack's own environment that programs inherit; never its secrets.
PASSED_ENVIRONMENT = ["PATH", "LANG", "LANGUAGE", "LC_ALL", "LC_CTYPE", "TZ", *PASSED_ENVIRONMENT]

# Django


def read_secret_key(file: Path) -> str:
    """Return the key in a file; an empty text if it can't be read or holds none."""
    try:
        return file.read_text().strip()
    except (OSError, ValueError):
        return ""


# Not created yet, or not readable for this user: use a temporary key. A start refuses a file without one.
SECRET_KEY = read_secret_key(SECRET_KEY_FILE) or secrets.token_urlsafe(50)
try:
    ADMIN_HOSTS = [ADMIN_HOST_FILE.read_text().strip()]
except OSError:  # not created yet, or not readable for this user
    ADMIN_HOSTS = []
ALLOWED_HOSTS = ["localhost", "127.0.0.1", "[::1]", BIND_HOST, *EXTRA_HOSTS, *ADMIN_HOSTS]
# The host names that sessions are valid under (access/hosts.py). A name below .localhost leads to loopback,
# so it can't replace another address that the API listens on.
IS_ON_LOCALHOST = BIND_HOST in ("localhost", "127.0.0.1", "[::1]", "0.0.0.0", "[::]")  # noqa: S104
SESSION_HOSTS = [*ADMIN_HOSTS, *EXTRA_HOSTS] if IS_ON_LOCALHOST else [BIND_HOST, *EXTRA_HOSTS]
ROOT_URLCONF = "hoody_site.urls"
WSGI_APPLICATION = "hoody_site.wsgi.application"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
LANGUAGE_CODE = "en-us"
TIME_ZONE = "UTC"
USE_TZ = True
USE_I18N = False
APPEND_SLASH = False
CSRF_FAILURE_VIEW = "hoody_site.console.errors.forged"
LOGIN_URL = "admin:login"
LOGIN_REDIRECT_URL = "/"

INSTALLED_APPS = [
    "hoody_site",  # before the admin, whose base template it extends
    "hoody_site.apps.ConsoleConfig",  # the admin
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "rest_framework",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "django_q",
    "daemon_programs",
    "quick_start",
    "fleet",
]

MIDDLEWARE = [
    "hoody_site.api.headers.BrowserPolicyMiddleware",
    "hoody_site.metrics.latency.LatencyMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "hoody_site.api.errors.JsonErrorsMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "hoody_site.access.hosts.OwnHostSessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "daemon_programs.actors.ActorMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]

SQLITE_FILE = STATE_DIR / "db.sqlite3"
DATABASES = {
    "default": engines.postgresql(DATABASE_URL, THREADS + 8) if DATABASE_URL else engines.sqlite(SQLITE_FILE)
}
DATABASE_ROUTERS = []
if HUB_DATABASE_URL:
    DATABASES["hub"] = engines.postgresql(HUB_DATABASE_URL, THREADS + 8)
    DATABASE_ROUTERS = ["fleet.database.HubRouter"]

AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{validator}"}
    for validator in (
        "UserAttributeSimilarityValidator",
        "MinimumLengthValidator",
        "CommonPasswordValidator",
        "NumericPasswordValidator",
    )
]

STATIC_URL = "static/"
# whitenoise serves the files from the installed packages: no collectstatic, no other hosts.
WHITENOISE_USE_FINDERS = True
WHITENOISE_AUTOREFRESH = False
WHITENOISE_ALLOW_ALL_ORIGINS = False

SESSION_COOKIE_AGE = 8 * 3600  # a working day
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = HTTPS
# Browsers ignore ports in cookies: with equal names, two stacks on one host would end each other's sessions.
SESSION_COOKIE_NAME = f"hoody_session_{BIND_PORT}"
CSRF_COOKIE_NAME = f"hoody_csrf_{BIND_PORT}"
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if HTTPS else None
X_FRAME_OPTIONS = "DENY"
SECURE_REFERRER_POLICY = "same-origin"
SECURE_HSTS_SECONDS = 365 * 86400 if HTTPS else 0
# Findings of `check --deploy` that don't apply.
SILENCED_SYSTEM_CHECKS = [
    "security.W008",  # the proxy redirects to HTTPS; scripts on this host use HTTP on loopback
    "security.W005",  # HSTS for subdomains is the decision of the domain's owner
    "security.W021",  # and so is the HSTS preload list of browsers
]
if not HTTPS:  # plain HTTP, by default on loopback only (docs/security.md)
    SILENCED_SYSTEM_CHECKS += ["security.W004", "security.W010", "security.W016"]

BODY_MAX_BYTES = 1024 * 1024  # docs/contract.md, section 1: larger bodies are answered with 413
# An admin form may hold a program of that size; form encoding takes up to three bytes for one.
DATA_UPLOAD_MAX_MEMORY_SIZE = 4 * BODY_MAX_BYTES
DATA_UPLOAD_MAX_NUMBER_FIELDS = 10_000  # the page that asks whether to delete programs names each of them

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "hoody_site.access.authentication.BearerAuthentication",
        "rest_framework.authentication.SessionAuthentication",
    ],
    "DEFAULT_PERMISSION_CLASSES": ["hoody_site.access.permissions.VerbPermission"],
    "DEFAULT_PARSER_CLASSES": ["hoody_site.api.parsers.StrictJSONParser"],
    "DEFAULT_RENDERER_CLASSES": [
        "hoody_site.api.renderers.FastJSONRenderer",
        "hoody_site.api.pages.renderer.ApiPageRenderer",
    ],
    "DEFAULT_CONTENT_NEGOTIATION_CLASS": "hoody_site.api.negotiation.ForgivingContentNegotiation",
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "EXCEPTION_HANDLER": "hoody_site.api.errors.handle",
    "UNICODE_JSON": True,
    "URL_FORMAT_OVERRIDE": None,
}

SPECTACULAR_SETTINGS = {
    "TITLE": "Daemon API",
    "VERSION": __version__,
    "DESCRIPTION": (
        "Manage the programs of one container or host: each is run by a real supervisord, restarted, "
        "logged with rotation, measured, started at boot or on demand.\n\n"
        "Every error is JSON: `success` false, `error`, one readable sentence, and `code`, a stable word. "
        "HEAD works wherever GET does. A query parameter that a route does not know is refused."
    ),
    "SERVE_INCLUDE_SCHEMA": False,
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "COMPONENT_SPLIT_REQUEST": True,
    "ENUM_NAME_OVERRIDES": {
        "ProcessStatusEnum": "daemon_programs.programs.observed.statuses.STATUSES",
        "StreamEnum": ["stdout", "stderr"],
        "ScopeEnum": "daemon_programs.supervisor.processes.signals.SCOPES",
        "EventsEnum": "daemon_programs.validators.webhook_config.EVENTS",
        "HostStateEnum": "fleet.serializers.hosts.STATES",
        "DeliveryShapeStateEnum": "daemon_programs.models.Delivery.STATES",
        "PlanStepActionEnum": "daemon_programs.api.openapi.applying.ACTIONS",
        "BatchActionEnum": "daemon_programs.programs.verbs.NAMES",
        "RequestStateEnum": "daemon_programs.api.openapi.once.STATES",
        "RolloutStateEnum": "fleet.models.rollout.STATES",
        "RolloutPartStateEnum": "fleet.models.rollout.PART_STATES",
    },
    "ENUM_GENERATE_CHOICE_DESCRIPTION": False,
    "SCHEMA_PATH_PREFIX": "/api/v1/daemon",
    "POSTPROCESSING_HOOKS": [
        "drf_spectacular.hooks.postprocess_schema_enums",
        "hoody_site.api.openapi.complete",
    ],
}

# django-q2 runs periodic reconciliation, not tasks that need exact times: its scheduler wakes every 30
# seconds. `max_attempts` and `retry` keep it from repeating a task; scheduled functions may be called at any
# time.
QUEUE_NAME = engines.queue_name(SECRET_KEY)  # no two installations have the same
# The functions of schedules that the queue begins with, instead of waiting half a minute.
QUEUE_STARTS_WITH = ("fleet.tasks.drive_rollouts",)
Q_CLUSTER: dict[str, Any] = {
    "name": QUEUE_NAME if BROKER_URL else "daemon",
    **({"redis": BROKER_URL} if BROKER_URL else {"orm": "default"}),
    "workers": 2,  # one for the dispatch of webhooks, which takes long, and one for all other tasks
    "timeout": 180,
    "retry": 300,
    "max_attempts": 1,
    "ack_failures": True,
    "catch_up": False,
    "poll": 1,
    "guard_cycle": 1,
    "save_limit": 100,
    "bulk": 1,
    "label": "Queue",
}

# Logs go to standard error, which supervisord writes to `stack-logs` with rotation. Commands, environment
# values and tokens are never logged.
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"plain": {"format": "%(asctime)s %(levelname)s %(name)s: %(message)s"}},
    "handlers": {
        "console": {"class": "logging.StreamHandler", "formatter": "plain"},
        "nowhere": {"class": "logging.NullHandler"},
    },
    "root": {"handlers": ["console"], "level": "INFO"},
    "loggers": {
        "django.request": {"level": "ERROR"},
        # Lines about requests that are merely wrong would let strangers rotate important messages away.
        "django.security": {"handlers": ["nowhere"], "propagate": False},
        # Its lines quote the URL and the answer of a receiver of webhooks, which may repeat secrets.
        "urllib3": {"handlers": ["nowhere"], "propagate": False},
        "django-q": {"level": "WARNING", "handlers": ["console"], "propagate": False},
    },
}
