"""What a service may use, and where its output goes."""

import math
from collections.abc import Callable

from daemonctl.importing.program import ImportedProgram
from daemonctl.importing.systemd import durations
from daemonctl.importing.systemd.options import Options

LIMITS = {
    "LimitNOFILE": "nofile",
    "LimitNPROC": "nproc",
    "LimitCORE": "core",
    "LimitAS": "as",
    "LimitCPU": "cpu",
    "LimitFSIZE": "fsize",
    "LimitSTACK": "stack",
    "LimitMEMLOCK": "memlock",
}
_LIMITS_OF_BYTES = ("core", "as", "fsize", "stack", "memlock")


def set_resources(options: Options, program: ImportedProgram) -> None:
    """Set its umask, its priority and its limits."""
    fields = program.fields
    for option in ("MemoryLimit", "MemoryMax"):
        value = options.text(option)
        if value.endswith("%"):
            program.note(f"{option}={value}: it takes a number of bytes", "memory_limit_bytes")
        elif value and not math.isinf(options.converted(option, durations.size)):
            program.set_number(
                "memory_limit_bytes", options.converted(option, durations.size), f"{option}={value}"
            )
            program.note(
                "A program that uses more is restarted with its grace period; the kernel sets no limit",
                "memory_limit_bytes",
            )
    if options.values("UMask"):
        fields["umask"] = f"{int(options.converted('UMask', _octal)):03o}"
    if options.values("Nice"):
        program.set_number("nice", options.integer("Nice"), "Nice")
    limits: dict[str, int | str] = {}
    for option, name in LIMITS.items():
        if options.values(option):
            limits[name] = _limit(options, program, option, name)
    fields["limits"] = limits


def _octal(text: str) -> int:
    return int(text, 8) & 0o777


def _limit(options: Options, program: ImportedProgram, option: str, name: str) -> int | str:
    soft, colon, hard = options.text(option).partition(":")
    if colon and soft != hard:
        program.note(f"{option}={soft}:{hard}: both are the soft limit", "limits")
    if soft == "infinity":
        return "unlimited"
    convert: Callable[[str], float] = durations.size if name in _LIMITS_OF_BYTES else int
    if name == "cpu":
        convert = durations.seconds
    return math.ceil(options.converted(option, convert, soft))


def set_output(options: Options, program: ImportedProgram) -> None:
    """Set the paths of its logs."""
    fields = program.fields
    output, errors = options.text("StandardOutput", "journal"), options.text("StandardError", "inherit")
    for option, text, field in (
        ("StandardOutput", output, "stdout_logfile"),
        ("StandardError", errors, "stderr_logfile"),
    ):
        kind, _, path = text.partition(":")
        if kind in ("file", "append", "truncate"):
            fields[field] = path
            if kind == "truncate":
                program.note("It is not emptied at a start", field)
        elif kind == "null":
            fields[field] = "/dev/null"
        elif kind not in ("journal", "inherit", "journal+console"):
            program.note(f"{option}={text}: the log is a file", field)
    if output == errors == "null":
        del fields["stdout_logfile"], fields["stderr_logfile"]
        fields["logs_enabled"] = False
    elif errors == "inherit" and output == "null":
        del fields["stdout_logfile"]
        fields["logs_enabled"] = False
    elif fields.get("stdout_logfile", "/dev/null") != "/dev/null" and (
        errors in ("inherit", output) or fields.get("stderr_logfile") == fields["stdout_logfile"]
    ):
        fields.pop("stderr_logfile", None)
        fields["redirect_stderr"] = True
    if options.text("StandardInput", "null") != "null":
        program.note(f"StandardInput={options.text('StandardInput')}: it reads the end of file; see stdin")
