"""When a service is restarted and no more, and how it is ended."""

import math

from daemonctl.importing.program import STOP_SIGNALS, ImportedProgram
from daemonctl.importing.systemd.options import Options
from daemonctl.problems import Problem

_RESTARTS = {
    "no": "false",
    "always": "true",
    "on-failure": "unexpected",
    "on-abnormal": "unexpected",
    "on-abort": "unexpected",
    "on-watchdog": "unexpected",
    "on-success": "true",
}
# Names of exit codes, from `man systemd.exec`, that units use.
_EXIT_CODES = {
    "SUCCESS": 0, "FAILURE": 1, "INVALIDARGUMENT": 2, "NOTIMPLEMENTED": 3, "NOPERMISSION": 4,
    "NOTINSTALLED": 5, "NOTCONFIGURED": 6, "NOTRUNNING": 7, "USAGE": 64, "DATAERR": 65, "NOINPUT": 66,
    "NOUSER": 67, "NOHOST": 68, "UNAVAILABLE": 69, "SOFTWARE": 70, "OSERR": 71, "OSFILE": 72,
    "CANTCREAT": 73, "IOERR": 74, "TEMPFAIL": 75, "PROTOCOL": 76, "NOPERM": 77, "CONFIG": 78,
}  # fmt: skip
_STOP_SECONDS, _RESTART_SECONDS = 90.0, 0.1
_START_BURST, _START_INTERVAL = 5, 10.0


def set_restarts(options: Options, program: ImportedProgram) -> None:
    """Set whether and when it is started again, and when it has been too often."""
    fields = program.fields
    restart = options.one_of("Restart", tuple(_RESTARTS), "no")
    fields["autorestart"] = _RESTARTS[restart]
    if restart not in ("no", "always", "on-failure"):
        program.note(f"Restart={restart}: this is the nearest", "autorestart")
    codes = {0, *_exit_codes(options, program, "SuccessExitStatus")}
    prevented = _exit_codes(options, program, "RestartPreventExitStatus")
    if prevented and fields["autorestart"] == "true":
        program.note("RestartPreventExitStatus: it is restarted after these, too", "autorestart")
    elif prevented:
        program.note(
            "Those of RestartPreventExitStatus are taken as successful, so that it is not restarted",
            "exit_codes",
        )
        codes.update(prevented)
    fields["exit_codes"] = sorted(codes)
    fields["start_seconds"] = 0
    delay = options.seconds("RestartSec", _RESTART_SECONDS)
    if options.values("RestartSec"):
        program.set_number("restart_delay_seconds", delay, f"RestartSec={options.text('RestartSec')}")
    fields.setdefault("restart_delay_seconds", 1)
    longest = options.seconds("RestartMaxDelaySec", 0)
    if longest:
        program.set_number("restart_delay_max_seconds", longest, "RestartMaxDelaySec")
    fields["restart_delay_max_seconds"] = max(
        fields.get("restart_delay_max_seconds", 1), fields["restart_delay_seconds"]
    )
    if options.values("RuntimeMaxSec") and not math.isinf(options.seconds("RuntimeMaxSec", 0)):
        program.set_number("max_runtime_seconds", options.seconds("RuntimeMaxSec", 0), "RuntimeMaxSec")
        program.note("It is always started again then", "max_runtime_seconds")
    _set_limit_of_starts(options, program)


def _set_limit_of_starts(options: Options, program: ImportedProgram) -> None:
    """Set how many restarts are too many, unless the pauses keep it from being reached."""
    fields = program.fields
    burst, interval = _START_BURST, _START_INTERVAL
    for section, name in (("Unit", "StartLimitBurst"), ("Service", "StartLimitBurst")):
        if options.values(name, section):
            burst = options.integer(name, section)
    for section, name in (
        ("Unit", "StartLimitIntervalSec"),
        ("Unit", "StartLimitInterval"),
        ("Service", "StartLimitInterval"),
    ):
        if options.values(name, section):
            interval = options.seconds(name, interval, section)
    is_limited = (
        burst > 0 and interval > 0 and options.seconds("RestartSec", _RESTART_SECONDS) * burst < interval
    )
    if is_limited and fields["autorestart"] != "false":
        program.set_number("restart_limit", max(burst - 1, 1), f"StartLimitBurst={burst}")
        program.note(
            f"{burst} starts within {interval:g} s are too many for systemd; here, restarts of runs "
            "that are each shorter than stable_seconds",
            "restart_limit",
        )
        fields["stable_seconds"] = min(max(math.ceil(min(interval, 86400) / burst), 1), 86400)


def _exit_codes(options: Options, program: ImportedProgram, option: str) -> list[int]:
    codes = []
    for value in options.values(option):
        for word in value.text.split():
            if word.isdecimal() and int(word) <= 255:
                codes.append(int(word))
            elif word in _EXIT_CODES:
                codes.append(_EXIT_CODES[word])
            elif word.startswith("SIG"):
                program.note(f"{option}={word}: the end by a signal is never successful", "exit_codes")
            else:
                raise Problem(f"{value.where}: '{word}' is neither an exit code nor a signal")
    return codes


def set_stop(options: Options, program: ImportedProgram) -> None:
    """Set how it is asked to end, and how long it may take."""
    fields = program.fields
    program.set_stop_signal(options.text("KillSignal", "SIGTERM"), f"KillSignal={options.text('KillSignal')}")
    mode = options.one_of("KillMode", ("control-group", "mixed", "process", "none"), "control-group")
    fields["stop_scope"] = "tree" if mode == "control-group" else "main"
    if mode in ("process", "none"):
        program.note(f"KillMode={mode}: all that belongs to it is ended with it", "stop_scope")
    given = next((each for each in ("TimeoutStopSec", "TimeoutSec") if options.values(each)), None)
    seconds = options.seconds(given, _STOP_SECONDS) if given else _STOP_SECONDS
    program.set_number("stop_grace_seconds", seconds or math.inf, f"{given}={options.text(given or '')}")
    stops = options.executions("ExecStop")
    if len(stops) == 1 and stops[0].signal_to_main in STOP_SIGNALS:
        fields["stop_signal"] = stops[0].signal_to_main
    elif stops:
        program.note("ExecStop: nothing is run to stop it: it gets stop_signal", "stop_signal")
