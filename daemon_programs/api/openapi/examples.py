"""Examples for the OpenAPI document. A test holds each against its schema."""

from typing import Any

from drf_spectacular.utils import OpenApiExample

from daemon_programs.models.fields import FIELD, PROGRAM_FIELDS


def _program(id: int, **values: Any) -> dict[str, Any]:
    """Return a whole program: what isn't given has its default."""
    defaults = {field.name: field.default for field in PROGRAM_FIELDS if field.default is not None}
    folder = f"/var/lib/daemon-api/logs/{values['name']}"
    logs = {"stdout_logfile": f"{folder}/stdout.log", "stderr_logfile": f"{folder}/stderr.log"}
    return {"id": id, **defaults, **logs, **values}


_WEB = {
    name: FIELD[name].example
    for name in (
        "name",
        "command",
        "user",
        "description",
        "directory",
        "environment",
        "boot",
        "delay_seconds",
        "priority",
        "stdout_logfile",
        "stderr_logfile",
    )
}
WEB = _program(1, **_WEB)
API = _program(
    2,
    name="api",
    command="node server.js",
    user="node",
    environment={"NODE_ENV": "production"},
    port_range=FIELD["port_range"].example,
    port_param=FIELD["port_param"].example,
    lazy_load=True,
)
RUNNING = {"id": 1, "status": "running", "pid": 4711, "uptime": "2:15:30"}
STARTING_INSTANCE = {"port": 8042, "instance_name": "api_8042", "status": "starting"}
RUNNING_INSTANCE = {
    "port": 8042,
    "instance_name": "api_8042",
    "status": "running",
    "pid": 4800,
    "uptime": "0:15:30",
}
STATS = {
    "pid": 4711,
    "started_at": "2026-02-10T17:39:50Z",
    "cpu_percent": 12.5,
    "memory_rss_bytes": 52428800,
    "process_count": 2,
    "processes": [
        {
            "pid": 4711,
            "command": "python3 -m http.server 9000",
            "cpu_percent": 2.1,
            "memory_rss_bytes": 42428800,
        },
        {"pid": 4712, "command": "sleep 60", "cpu_percent": 0.0, "memory_rss_bytes": 10000000},
    ],
}
LAST_RUN = {"exit_code": 3, "signal": None, "error": None, "ended_at": "2026-11-21T18:40:00Z"}


def sent(name: str, /, **body: Any) -> OpenApiExample:
    return OpenApiExample(name, body, request_only=True)


def answered(name: str, /, **body: Any) -> OpenApiExample:
    return OpenApiExample(name, {"success": True, **body}, response_only=True)


SUCCESS = [answered("Done")]
LIST_PROGRAMS = [
    OpenApiExample("Programs", {"programs": [WEB, API]}, response_only=True),
    OpenApiExample(
        "With include_stats",
        {
            "programs": [
                {**WEB, "status": RUNNING, "stats": STATS},
                {
                    **API,
                    "status": {
                        "type": "port-range",
                        "running_instances": 1,
                        "total_instances": 100,
                        "instances": [RUNNING_INSTANCE],
                    },
                },
            ]
        },
        response_only=True,
    ),
]
PROGRAM = [answered("A program", program=WEB)]
ADD_PROGRAM = [
    sent("A web server", **_WEB),
    sent(
        "A port range",
        name="api",
        command="node server.js",
        user="node",
        environment={"NODE_ENV": "production"},
        port_range={"start": 8000, "end": 8099},
        lazy_load=True,
    ),
    answered("A port range", id=2, program=API),
]
EDIT_PROGRAM = [
    sent("Two fields", description="v2", environment={"A": "1"}),
    answered("Two fields", program={**API, "description": "v2", "environment": {"A": "1"}}),
]
REMOVE_PROGRAM = [sent("Empty body"), answered("Removed", id=2)]
RESET_PROGRAMS = [sent("Empty body"), answered("Reset")]
ENABLE_PROGRAM = [sent("Empty body"), answered("Enabled", program=WEB)]
DISABLE_PROGRAM = [sent("Empty body"), answered("Disabled", program={**WEB, "enabled": False})]
START_PROGRAM = [
    sent("Start"),
    sent("Until it runs", wait=True, timeout=10),
    sent("If it does not run", if_not_running=True),
    sent("An instance", port=8042),
    sent("All instances", all=True),
    answered("Started"),
    answered("It was running", already_running=True),
    answered("An instance", instance=STARTING_INSTANCE),
    answered("An instance was running", already_running=True, instance=RUNNING_INSTANCE),
]
STOP_PROGRAM = [
    sent("Stop"),
    sent("An instance", port=8042),
    sent("All instances", all=True),
    *SUCCESS,
]
RESTART_PROGRAM = [
    sent("Restart"),
    sent("Until it runs again", wait=True, timeout=10),
    sent("An instance", port=8042),
    answered("Restarted"),
    answered("An instance", instance=STARTING_INSTANCE),
]
LOGS = [
    answered("Two lines", logs="line one\nline two", type="stderr", lines=2, log_file="/var/log/web/err.log")
]
LIST_STATUSES = [
    answered(
        "Statuses",
        statuses=[
            {"id": 1, "name": "web", "enabled": True, "status": RUNNING},
            {"id": 3, "name": "old", "enabled": False, "status": {"id": 3, "status": "stopped"}},
        ],
    )
]
STATUS = [
    answered("Running", status=RUNNING, stats=STATS),
    answered("Ended", status={"id": 1, "status": "exited"}, last_run=LAST_RUN),
    answered(
        "Its folder has gone",
        status={"id": 1, "status": "stopped"},
        problem="Working directory '/var/www' does not exist",
    ),
    answered("A port range", instances=[RUNNING_INSTANCE], running_count=1, total_count=100),
    answered("With port", instance={"port": 8043, "instance_name": "api_8043", "status": "stopped"}),
]
