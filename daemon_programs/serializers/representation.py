"""A program as JSON: the object of the API, and of the files for other tools (contract, sections 3, 7)."""

from typing import Any

from daemon_programs.models import Program


def program_document(program: Program) -> dict[str, Any]:
    """The program without status and stats. Optional values that aren't set are left out."""
    document: dict[str, Any] = {
        "id": program.pk,
        "name": program.name,
        "description": program.description,
        "enabled": program.enabled,
        "command": program.command,
        "boot": program.boot,
        "delay_seconds": program.delay_seconds,
        "stop_grace_seconds": program.stop_grace_seconds,
        "autorestart": program.autorestart,
        "user": program.user,
        "environment": program.environment,
        "directory": program.directory or None,
        "priority": program.priority,
        "stdout_logfile": program.log_path("stdout"),
        "stderr_logfile": program.log_path("stderr"),
        "logs_enabled": program.logs_enabled,
        "log_max_bytes": program.log_max_bytes,
        "log_backups": program.log_backups,
        "hoody_kit": program.hoody_kit,
        "lazy_load": program.lazy_load,
        "display": program.display or None,
        "terminal_id": program.terminal_id,
        "terminal_shell": program.terminal_shell or None,
        "terminal_interactive": program.terminal_interactive,
        "ready_port": program.ready_port,
        "webhooks": program.webhooks,
    }
    if program.has_ports:
        document["port_range"] = {"start": program.port_start, "end": program.port_end}
        document["port_param"] = program.port_param or DEFAULT_PORT_PARAM
    return {key: value for key, value in document.items() if value is not None}


DEFAULT_PORT_PARAM = "--port"
