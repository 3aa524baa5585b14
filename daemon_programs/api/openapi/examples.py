"""Examples for the OpenAPI document. A test validates each against its schema."""

from typing import Any

from drf_spectacular.utils import OpenApiExample

from daemon_programs.models.fields import FIELD, PROGRAM_FIELDS


def _program(id: int, **values: Any) -> dict[str, Any]:
    """Return a whole program; fields that are not given have their defaults."""
    shown = [field for field in PROGRAM_FIELDS if field.default is not None and not field.hides_default]
    defaults = {field.name: field.default for field in shown}
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
WORKERS = _program(3, name="workers", command="celery worker -n w{instance}", user="node", numprocs=3)
RUNNING_NUMBER = {
    "instance": 2,
    "instance_name": "workers_2",
    "status": "running",
    "pid": 4810,
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


def request_example(name: str, /, **body: Any) -> OpenApiExample:
    """Return an example of a request body."""
    return OpenApiExample(name, body, request_only=True)


def response_example(name: str, /, **body: Any) -> OpenApiExample:
    """Return an example of a successful response."""
    return OpenApiExample(name, {"success": True, **body}, response_only=True)


SUCCESS = [response_example("Done")]
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
    OpenApiExample(
        "A page with three fields",
        {
            "programs": [{"id": 1, "name": "web", "status": RUNNING}],
            "next": "WyJuYW1lIiwgIndlYiIsIDFd",
        },
        response_only=True,
    ),
]
PROGRAM = [response_example("A program", program=WEB)]
ADD_PROGRAM = [
    request_example("A web server", **_WEB),
    request_example(
        "A port range",
        name="api",
        command="node server.js",
        user="node",
        environment={"NODE_ENV": "production"},
        port_range={"start": 8000, "end": 8099},
        lazy_load=True,
    ),
    response_example("A port range", id=2, program=API),
    request_example("Three workers", name="workers", command=WORKERS["command"], user="node", numprocs=3),
    response_example("Three workers", id=3, program=WORKERS),
]
EDIT_PROGRAM = [
    request_example("Two fields", description="v2", environment={"A": "1"}),
    response_example("Two fields", program={**API, "description": "v2", "environment": {"A": "1"}}),
]
REMOVE_PROGRAM = [request_example("Empty body"), response_example("Removed", id=2)]
BATCH = [
    request_example("Restart by label", action="restart", select={"labels": ["team=shop"]}, wait=True),
    request_example("Stop by name", action="stop", select={"names": ["web", "worker-*"]}),
    request_example("A signal", action="signal", select={"ids": [1, 2]}, signal="HUP"),
    request_example("Start what has failed", action="start", select={"states": ["fatal"]}),
    request_example("What would be removed", action="remove", select={"all": True}, dry_run=True),
    response_example(
        "Stopped",
        results=[
            {"id": 1, "name": "web", "result": "done"},
            {
                "id": 2,
                "name": "worker-1",
                "result": "skipped",
                "reason": "Program with ID 2 is not running",
                "code": "not_running",
            },
            {
                "id": 9,
                "result": "failed",
                "error": "Program with ID 9 not found",
                "code": "not_found",
            },
        ],
        counts={"done": 1, "planned": 0, "skipped": 1, "failed": 1},
    ),
]
RESET_PROGRAMS = [request_example("Empty body"), response_example("Reset")]
ENABLE_PROGRAM = [request_example("Empty body"), response_example("Enabled", program=WEB)]
DISABLE_PROGRAM = [
    request_example("Empty body"),
    response_example("Disabled", program={**WEB, "enabled": False}),
]
START_PROGRAM = [
    request_example("Start"),
    request_example("Wait until it is running", wait=True, timeout=10),
    request_example("Unless it is running", if_not_running=True),
    request_example("An instance", port=8042),
    request_example("An instance of several workers", instance=2, wait=True),
    request_example("All instances", all=True),
    response_example("Started"),
    response_example("It was running already", already_running=True),
    response_example("An instance", instance=STARTING_INSTANCE),
    response_example("An instance of several workers", instance=RUNNING_NUMBER),
    response_example("The instance was running already", already_running=True, instance=RUNNING_INSTANCE),
]
STOP_PROGRAM = [
    request_example("Stop"),
    request_example("An instance", port=8042),
    request_example("All instances", all=True),
    *SUCCESS,
]
RESTART_PROGRAM = [
    request_example("Restart"),
    request_example("Wait until it is running again", wait=True, timeout=10),
    request_example("An instance", port=8042),
    request_example("A roll-out", all=True, wait=True, rolling=1, timeout=120),
    response_example("Restarted"),
    response_example("An instance", instance=STARTING_INSTANCE),
]
SIGNAL_PROGRAM = [
    request_example("To the process", signal="USR1"),
    request_example("To the whole tree", signal="STOP", scope="tree"),
    request_example("All instances", signal="HUP", all=True),
    *SUCCESS,
]
RELOAD_PROGRAM = [
    request_example("Reload"),
    request_example("An instance", port=8042),
    request_example("All instances", all=True),
    *SUCCESS,
]
WRITE_INPUT = [
    request_example("A line", text="reload\n"),
    request_example("The end of file", close=True),
    request_example("To an instance", text="reload\n", port=8042),
    *SUCCESS,
]
LOGS = [
    response_example(
        "Two lines", logs="line one\nline two", type="stderr", lines=2, log_file="/var/log/web/err.log"
    )
]
LIST_STATUSES = [
    response_example(
        "Statuses",
        statuses=[
            {"id": 1, "name": "web", "enabled": True, "status": RUNNING},
            {"id": 3, "name": "old", "enabled": False, "status": {"id": 3, "status": "stopped"}},
        ],
    )
]
STATUS = [
    response_example("Running", status=RUNNING, stats=STATS),
    response_example("Ended", status={"id": 1, "status": "exited"}, last_run=LAST_RUN),
    response_example(
        "In the pause before a restart",
        status={"id": 1, "status": "backoff"},
        last_run={**LAST_RUN, "exit_code": 1},
        restarts=3,
        restarts_since_stable=3,
        next_start_at="2026-11-21T18:40:09Z",
    ),
    response_example(
        "Its directory is missing",
        status={"id": 1, "status": "stopped"},
        problem="Working directory '/var/www' does not exist",
    ),
    response_example("A port range", instances=[RUNNING_INSTANCE], running_count=1, total_count=100),
    response_example("Several workers", instances=[RUNNING_NUMBER], running_count=1, total_count=3),
    response_example(
        "An instance", instance={"port": 8043, "instance_name": "api_8043", "status": "stopped"}
    ),
]
