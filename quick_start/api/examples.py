"""Examples for the OpenAPI document. A test validates each against its schema."""

from typing import Any

from daemon_programs.api.openapi.examples import request_example, response_example

_ID = "quick_1795288648711492"
_LAUNCHED: dict[str, Any] = {
    "temporary_id": _ID,
    "name": "quick_python3_1795288648711492",
    "created_at": "2026-11-21T18:32:03Z",
}
_RUNNING: dict[str, Any] = {
    **_LAUNCHED,
    "status": "running",
    "pid": 4900,
    "uptime": "0:00:01",
    "expires_at": "2026-11-21T19:32:03Z",
}
_ENDED: dict[str, Any] = {
    **_LAUNCHED,
    "status": "exited",
    "last_run": {"exit_code": 0, "signal": None, "error": None, "ended_at": "2026-11-21T18:40:00Z"},
}

LIST = [
    response_example(
        "One",
        count=1,
        ephemeral_programs=[{**_RUNNING, "uptime": "0:05:32", "command": "python3 job.py", "user": "worker"}],
    )
]
LAUNCH = [
    request_example("A job", command="python3 job.py", user="worker"),
    request_example(
        "For an hour, waiting until it runs", command="python3 job.py", user="worker", ttl=3600, wait=True
    ),
    request_example(
        "Waiting until it has ended", command="python3 job.py", user="worker", wait="exit", timeout=300
    ),
    response_example("Started", **_LAUNCHED, status="starting"),
    response_example("Running", **_RUNNING),
    response_example("Ended", **_ENDED, duration_seconds=1.204, stdout="done", stderr=""),
]
STATUS = [response_example("Running", **_RUNNING), response_example("Ended", **_ENDED)]
LOGS = [
    response_example(
        "Two lines",
        logs="line one\nline two",
        type="stdout",
        lines=2,
        log_file="/var/lib/daemon-api/logs/quick_python3_1795288648711492/stdout.log",
    )
]
WRITE_INPUT = [
    request_example("A line, and the end of file", text="42\n", close=True),
    response_example("Done"),
]
STOP = [
    request_example("Empty body"),
    response_example(
        "Stopped", temporary_id=_ID, cleaned_up=True, message="Program stopped and configuration removed"
    ),
]
