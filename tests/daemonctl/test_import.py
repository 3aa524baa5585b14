"""`daemonctl import`: what is guessed, noted and refused, and that what it writes is what it has read."""

import os
import shlex
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from daemon_programs.models import Program
from daemon_programs.models.fields import PROGRAM_FIELDS
from daemon_programs.supervisor.processes.signals import RELOAD_SIGNALS
from daemon_programs.text import split_words
from daemon_programs.validators import instances, processes, restarts, rules, world
from daemonctl.importing import formats, program, writer
from daemonctl.importing.commands import command_line, variable
from daemonctl.importing.program import Imported, ImportedProgram, Wishes
from daemonctl.importing.systemd import durations, services
from daemonctl.manifest.read import parse
from daemonctl.problems import Problem
from tests.daemonctl.conftest import Ctl
from tests.daemonctl.foreign_tools import FOREIGN, imported, needs_node
from tests.stack import OWN_USER


def write(file: Path, text: str) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    return file


def written(*files: Path, form: str | None = None, environment: str | None = None) -> str:
    return writer.to_yaml(formats.read(files, form, Wishes(OWN_USER, environment)))


def only(file: Path, text: str, form: str | None = None) -> dict[str, Any]:
    """Return the fields of the only program of a text."""
    (fields,) = parse(written(write(file, text), form=form), {})["programs"]
    return fields  # type: ignore[no-any-return]


def problem(*files: Path, form: str | None = None) -> str:
    with pytest.raises(Problem) as caught:
        written(*files, form=form)
    return caught.value.message


def comments(text: str) -> str:
    return " ".join(line.strip().removeprefix("#").strip() for line in text.splitlines() if "#" in line)


# What is known of the daemon


def test_ranges_are_those_of_the_daemon() -> None:
    assert program.RANGES == {
        "start_seconds": restarts.START_SECONDS,
        "start_retries": restarts.START_RETRIES,
        "stop_grace_seconds": rules.STOP_GRACE_SECONDS,
        "restart_delay_seconds": restarts.RESTART_DELAY_SECONDS,
        "restart_delay_max_seconds": restarts.RESTART_DELAY_MAX_SECONDS,
        "stable_seconds": restarts.STABLE_SECONDS,
        "restart_limit": restarts.RESTART_LIMIT,
        "max_runtime_seconds": restarts.MAX_RUNTIME_SECONDS,
        "memory_limit_bytes": processes.MEMORY_LIMIT_BYTES,
        "priority": rules.PRIORITY,
        "nice": world.NICE,
        "numprocs": instances.NUMPROCS,
        "log_max_bytes": rules.LOG_MAX_BYTES,
        "log_backups": rules.LOG_BACKUPS,
    }
    assert set(services._RELOAD_SIGNALS) == set(RELOAD_SIGNALS)
    assert services._MAX_COMMANDS == processes.MAX_COMMANDS


def test_defaults_are_those_of_the_daemon() -> None:
    from daemon_programs.serializers.representation import field_values

    theirs = field_values(Program(name="a", command="b", user="c"), PROGRAM_FIELDS)
    for field, default in program.DEFAULTS.items():
        assert theirs.get(field, default) == default, field
    assert program.DEFAULTS.keys() <= {field.name for field in PROGRAM_FIELDS}


# Command lines and the file

_ARGUMENTS = st.lists(st.text("ab'\"\\$`! \n\t{}é#;*", max_size=8), min_size=1, max_size=4)


@settings(max_examples=100, deadline=None)
@given(arguments=_ARGUMENTS)
def test_a_command_line_has_its_arguments(arguments: list[str]) -> None:
    line = command_line(arguments)
    assert "\n" not in line
    if "\n" not in "".join(arguments):
        assert split_words(line) == arguments


@settings(max_examples=15, deadline=None)
@given(arguments=_ARGUMENTS.filter(lambda each: "\n" in "".join(each)))
def test_line_breaks_reach_the_process(arguments: list[str]) -> None:
    import subprocess

    argv = split_words(command_line(["printf", "%s\\0", *arguments]))
    assert subprocess.run(argv, capture_output=True).stdout.decode().split("\0")[:-1] == arguments


def test_the_file_has_dollars_variables_and_notes() -> None:
    fields = {
        "name": "a",
        "command": f"sh -c 'echo ${{X}} $$ $Y {variable('Z')}'",
        "user": variable("W", "me"),
    }
    one = ImportedProgram(
        fields | {"environment": {"N": "08", "T": "12:30", "B": "no", "L": "a\nb"}, "boot": False}
    )
    one.note("About the user", "user")
    one.note("About a field that has its default", "boot")
    text = writer.to_yaml(Imported([one], ["About all"]), "shop")
    assert text.startswith(
        "# About all\n\nset: shop\nprograms:\n  # About a field that has its default\n  - name: a\n"
    )
    assert "    # About the user\n    user: ${W:-me}\n" in text
    assert parse(text, {"Z": "z"}) == {
        "set": "shop",
        "programs": [
            {
                "name": "a",
                "command": "sh -c 'echo ${X} $$ $Y z'",
                "user": "me",
                "environment": {"N": "08", "T": "12:30", "B": "no", "L": "a\nb"},
            }
        ],
    }


# The command


def test_the_command_contacts_no_daemon(ctl: Ctl) -> None:
    ran = ctl("import", "--set", "shop", str(FOREIGN / "procfile" / "Procfile"), DAEMON_STATE_DIR="/nowhere")
    assert (ran.returncode, ran.stderr) == (0, "")
    document = parse(ran.stdout, {})
    assert document["set"] == "shop"
    assert [each["name"] for each in document["programs"]] == ["web", "worker", "clock_1"]
    missing = ctl("import", "/nowhere/Procfile")
    assert (missing.returncode, missing.stdout) == (1, "")
    assert missing.stderr == "/nowhere/Procfile can't be read: No such file or directory\n"


@pytest.mark.parametrize(
    ("name", "text", "form"),
    [
        ("Procfile.dev", "", "procfile"),
        ("shop.service", "", "systemd"),
        ("ecosystem.config.cjs", "", "pm2"),
        ("ecosystem.yaml", "", "pm2"),
        ("a.conf", "; comment\n[program:a]\n", "supervisord"),
        ("override.conf", "[Service]\n", "systemd"),
        ("compose.yml", "version: '1'\nprocesses:\n", "process-compose"),
        ("apps.yml", "apps:\n", "pm2"),
        ("web", "# comment\n\nweb: sleep 1\n", "procfile"),
    ],
)
def test_formats_are_guessed(tmp_path: Path, name: str, text: str, form: str) -> None:
    assert formats.guess(write(tmp_path / name, text)) == form


def test_what_is_of_no_format_is_refused(tmp_path: Path) -> None:
    file = write(tmp_path / "a", "nothing")
    assert problem(file) == (
        f"{file} is of no known format; name it: --from supervisord, --from procfile, --from pm2, "
        "--from process-compose, --from systemd"
    )
    binary = tmp_path / "b"
    binary.write_bytes(b"\xff\xfe")
    assert problem(binary) == f"{binary} is not text in UTF-8"
    assert problem(file, file, form="pm2") == "A file of pm2 is imported by itself: name one file"


# Errors name the file and the line


@pytest.mark.parametrize(
    ("text", "line", "sentence"),
    [
        ("command=a\n", 1, "there is no [section] before this line"),
        ("[program:a]\nwhat is this\n", 2, "this is not OPTION = VALUE"),
        ("[program:a]\n", 1, "[program:a] has no command"),
        ("[program:a]\ncommand=a 'b\n", 2, "command can't be split: no closing quotation"),
        ("[program:a]\ncommand=\n", 2, "command is empty"),
        ("[program:a]\ncommand=a\nnumprocs=two\n", 3, "numprocs is not a number: 'two'"),
        ("[program:a]\ncommand=a\nnumprocs=9999\n", 3, "numprocs is not a number from 0 to 1000: 9999"),
        ("[program:a]\ncommand=a\nautostart=maybe\n", 3, "autostart is not true or false: 'maybe'"),
        ("[program:a]\ncommand=a\nautorestart=maybe\n", 3,
         "autorestart is not true, false or unexpected: 'maybe'"),
        ("[program:a]\ncommand=a\nexitcodes=0,300\n", 3, "exitcodes are not numbers from 0 to 255: '0,300'"),
        ("[program:a]\ncommand=a\numask=9\n", 3, "umask is not an octal number: '9'"),
        ("[program:a]\ncommand=a\nstdout_logfile_maxbytes=9TB\n", 3,
         "stdout_logfile_maxbytes is not a size such as 50MB: '9TB'"),
        ("[program:a]\ncommand=a\nenvironment=A\n", 3, "environment is not NAME=value,NAME=value: 'A'"),
        ("[program:a]\ncommand=a\nenvironment=A='\n", 3, "environment can't be read: no closing quotation"),
        ("[program:a]\ncommand=a %(what)s\n", 2,
         "%(what)s is not one of group_name, here, host_node_name, numprocs, process_num, "
         "program_name, ENV_…"),
        ("[program:a]\ncommand=a %\n", 2, "'a %' can't be expanded: incomplete format"),
        ("[program:a]\ncommand=a\nnumprocs=2\n", 1,
         "process_name needs %(process_num)d when numprocs is above 1"),
        ("[program:a]\ncommand=a\nstopasgroup=true\nkillasgroup=false\n", 4,
         "it can't be false when stopasgroup is true"),
        ("[group:g]\nprograms=b\n", 2, "[group:g] names an unknown program 'b'"),
        ("[program:a b]\ncommand=a\n", 1, "a name can't have ' ': 'a b'"),
        ("[include]\nfile=x\n[program:a]\ncommand=a\n", 1, "[include] has no 'files'"),
    ],
)  # fmt: skip
def test_errors_of_supervisord(tmp_path: Path, text: str, line: int, sentence: str) -> None:
    file = write(tmp_path / "s.conf", text)
    assert problem(file, form="supervisord") == f"{file}:{line}: {sentence}"


def test_errors_of_an_included_file_name_it(tmp_path: Path) -> None:
    part = write(tmp_path / "d" / "a.ini", "[program:a]\ncommand=a\n\nstartsecs=x\n")
    file = write(tmp_path / "s.conf", "[include]\nfiles=d/*.ini\n")
    assert problem(file, form="supervisord") == f"{part}:4: startsecs is not a number: 'x'"


def test_errors_of_procfiles(tmp_path: Path) -> None:
    file = write(tmp_path / "Procfile", "a: b\n\na: c\n")
    assert problem(file) == f"{file}:3: there are two programs named 'a'"
    write(file, "nothing\n")
    assert problem(file) == f"{file} has no line such as 'web: COMMAND'"
    write(file, "a: b\n")
    env = write(tmp_path / ".env", "A=1\nB='\n")
    assert problem(file) == f"{env}:2: no closing quotation"
    write(env, "PORT=many\n")
    assert problem(file) == f"{env}: PORT is not a number: 'many'"


@pytest.mark.parametrize(
    ("app", "sentence"),
    [
        ("{}", "app 1 has no script"),
        ("3", "app 1 is not an object"),
        ('{"script": ["a"]}', "app 1: script is not text"),
        ('{"script": "a", "args": 3}', "app 1 ('a'): args is neither text nor a list"),
        ('{"script": "a", "env": []}', "app 1 ('a'): env is not an object"),
        ('{"script": "a", "instances": "some"}', 'app 1: instances is not a number or "max": "some"'),
        ('{"script": "a", "max_memory_restart": "1T"}',
         "app 1 ('a'): max_memory_restart is not a number, or one with K, M, G: \"1T\""),
        ('{"script": "a", "kill_timeout": "soon"}', "app 1 ('a'): kill_timeout is not a number: \"soon\""),
        ('{"script": "a", "stop_exit_codes": ["x"]}', "app 1 ('a'): stop_exit_codes are not numbers"),
    ],
)  # fmt: skip
def test_errors_of_pm2(tmp_path: Path, app: str, sentence: str) -> None:
    file = write(tmp_path / "ecosystem.json", f'{{"apps": [{app}]}}')
    assert problem(file) == f"{file}: {sentence}"


@needs_node
def test_errors_of_javascript_are_nodes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = write(tmp_path / "ecosystem.config.js", "\nmodule.exports = { apps: [ }\n")
    assert problem(file) == f"{file}:2: node can't evaluate it: SyntaxError: Unexpected token '}}'"
    write(file, "\n\nmodule.exports = { apps: missing }\n")
    assert problem(file) == f"{file}:3: node can't evaluate it: ReferenceError: missing is not defined"
    monkeypatch.setenv("PATH", "/nowhere")
    assert problem(file) == f"{file} is a program that node has to evaluate, and there is no node in PATH"


@pytest.mark.parametrize(
    ("text", "where", "sentence"),
    [
        ("processes:\n  a: [\n", ":3", "expected the node content, but found '<stream end>'"),
        ("processes: {}\n", "", "has no processes"),
        ("[]", "", "is not a map with the key 'processes'"),
        ("processes:\n  a: {}\n", ":2", "'a' has no command"),
        ("shell: bash\nprocesses:\n  a: {command: x}\n", "", ": shell is not a map"),
        ("processes:\n  a: 3\n", ":2", "'a': the process is not a map"),
        ("processes:\n\n  a: {command: x, replicas: many}\n", ":3", "'a': replicas is not a number: 'many'"),
        ("processes:\n  a: {command: x, replicas: $" + "{N}}\n", ":2",
         "'a': replicas is a variable that has no value here; put it into .env"),
        ("processes:\n  a: {command: $" + "{N/a/b}}\n", ":2",
         "${N/a/b} is more than a variable and its default"),
        ("processes:\n  a: {command: x, availability: {restart: x}}\n", ":2",
         "'a': restart is not one of no, always, on_failure, exit_on_failure: 'x'"),
        ("processes:\n  a: {extends: b}\n", ":2",
         "'a' has no command, and what it extends is not looked at"),
        ("processes:\n  a: {command: x, depends_on: {a: {condition: x}}}\n", ":2",
         "'a': depends_on 'a' has an unknown condition 'x'"),
        ("processes:\n  a: {command: x, environment: [A]}\n", ":2",
         "'a': environment is not a list of NAME=value"),
        ("processes:\n  a: {command: x, shutdown: {signal: 99}}\n", ":2", "'a': there is no signal 99"),
        ("processes:\n  a: {command: x, success_exit_codes: [999]}\n", ":2",
         "'a': success_exit_codes are not numbers from 0 to 255"),
        ("processes:\n  a: {command: x, readiness_probe: {timeout_seconds: 2}}\n", ":2",
         "'a': readiness_probe has neither exec nor http_get"),
    ],
)  # fmt: skip
def test_errors_of_process_compose(tmp_path: Path, text: str, where: str, sentence: str) -> None:
    file = write(tmp_path / "process-compose.yaml", text)
    between = ": " if where else "" if sentence.startswith(":") else " "
    assert problem(file, form="process-compose") == f"{file}{where}{between}{sentence}"


@pytest.mark.parametrize(
    ("text", "line", "sentence"),
    [
        ("[Service\n", 1, "this is no [Section]"),
        ("[Service]\nExecStart\n", 2, "this is not OPTION=VALUE within a [Section]"),
        ("[Service]\nExecStart=/bin/a 'b\n", 2, "a quote is not closed: /bin/a 'b"),
        ("[Service]\nExecStart=/bin/a \\\n  b %m\n", 2, "what %m stands for is known to systemd only"),
        ("[Service]\nExecStart=-\n", 2, "there is no command after '-'"),
        ("[Service]\nExecStart=/bin/a\nExecStart=/bin/b\n", 3, "only Type=oneshot can have several commands"),
        ("[Service]\nExecStart=/bin/a\nType=odd\n", 3,
         "Type is not one of simple, exec, forking, oneshot, dbus, notify, notify-reload, idle: 'odd'"),
        ("[Service]\nExecStart=/bin/a\nRestartSec=5 ages\n", 3, "RestartSec can't be read: '5 ages'"),
        ("[Service]\nExecStart=/bin/a\nMemoryMax=lots\n", 3, "MemoryMax can't be read: 'lots'"),
        ("[Service]\nExecStart=/bin/a\nEnvironment=A\n", 3,
         "Environment has a word that is not NAME=value: 'A'"),
        ("[Service]\nExecStart=/bin/a\nSuccessExitStatus=ODD\n", 3,
         "'ODD' is neither an exit code nor a signal"),
        ("[Service]\nExecStart=/bin/a\nUMask=9\n", 3, "UMask can't be read: '9'"),
        ("[Service]\nExecStart=/bin/a\nLimitNOFILE=many\n", 3, "LimitNOFILE can't be read: 'many'"),
    ],
)  # fmt: skip
def test_errors_of_systemd(tmp_path: Path, text: str, line: int, sentence: str) -> None:
    file = write(tmp_path / "a.service", text)
    assert problem(file) == f"{file}:{line}: {sentence}"


def test_units_that_are_no_services_are_refused(tmp_path: Path) -> None:
    timer = write(tmp_path / "a.timer", "[Timer]\n")
    assert problem(timer, form="systemd") == f"{timer} is not a service: only .service units have a program"
    template = write(tmp_path / "a@.service", "[Service]\nExecStart=/bin/a\n")
    assert problem(template) == f"{template} is a template: name an instance of it, such as a@1.service"
    empty = write(tmp_path / "b.service", "[Service]\n")
    assert problem(empty) == f"{empty} has no ExecStart"


_FILES = {
    "supervisord/supervisord.conf": "supervisord", "supervisord/conf.d/workers.conf": "supervisord",
    "procfile/Procfile": "procfile", "process_compose/process-compose.yaml": "process-compose",
    "systemd/web.service": "systemd", "systemd/database.service": "systemd",
}  # fmt: skip
_BITS = (
    "", "%", "'", '"', "\\", "{", "}", "$", "${", "=", ":", "[", "]", "-1", "1e999", "nan", "infinity",
    "true", "[]", "{}", "\n", "\t", "%(x)s", "%(ENV_)s", "%(ENV_X)s", "%n", "{{.A}}", "- a", "a: b",
)  # fmt: skip


@settings(max_examples=150, deadline=None)
@given(
    name=st.sampled_from(sorted(_FILES)),
    changes=st.lists(
        st.tuples(st.floats(0, 1), st.integers(0, 10), st.sampled_from(_BITS)), min_size=1, max_size=3
    ),
)
def test_any_file_is_imported_or_refused_with_one_sentence(
    tmp_path_factory: pytest.TempPathFactory, name: str, changes: list[tuple[float, int, str]]
) -> None:
    text = (FOREIGN / name).read_text()
    for position, length, bit in changes:
        start = int(position * len(text))
        text = text[:start] + bit + text[start + length :]
    file = write(tmp_path_factory.mktemp("any") / Path(name).name, text)
    try:
        programs = written(file, form=_FILES[name])
    except Problem as refused:
        sentence = refused.message
    else:
        parse(programs, {"X": "x", "REGION": "eu", "DATABASE": "db", "PROJECT": "shop"})
        return
    assert sentence.startswith(str(file))
    assert "\n" not in sentence


# Notes


@needs_node
def test_each_file_says_what_has_no_counterpart() -> None:
    expected = {
        "supervisord/supervisord.conf": [
            "[eventlistener:crashmail] is not imported", "[fcgi-program:php] is not imported",
            "no file matches 'nothing/*.ini'", "No counterpart: stdout_capture_maxbytes",
            "logfile, childlogdir, minfds",
            "[group:crew]: a group has no priority", "each is a program now",
            "it is '" + OWN_USER + "' here (--user)",
        ],
        "procfile/Procfile": ["Line 6 is not NAME: COMMAND, and ignored: release = not a process"],
        "pm2/ecosystem.config.js": [
            "'deploy' has no counterpart", "watch:", "cron_restart:", "wait_ready:",
            "Not used: env_production, env_staging; for it call with --env production",
            "namespace 'night shift' is written as labels can be", "pm2 has one and a half",
        ],
        "process_compose/process-compose.yaml": [
            "is_tty: it has no terminal", "exit_on_failure: the end of one program ends no others",
        ],
    }  # fmt: skip
    for name, sentences in expected.items():
        told = comments(written(FOREIGN / name))
        for sentence in sentences:
            assert sentence in told, name
    told = comments(written(*(FOREIGN / "systemd" / name for name in ("web.service", "migrate.service"))))
    for sentence in (
        "ExecStartPost: nothing is run after its start", "RuntimeDirectory: no folder is made",
        "No counterpart: ProtectSystem",
        "so neither waited for nor started: network.target, database.service",
        "LimitNOFILE=4096:8192: both are the soft limit",
        "RestartSec=1500ms: 2 is the nearest that is possible",
        "ExecStop: nothing is run to stop it",
        "SuccessExitStatus=SIGUSR1: the end by a signal is never successful",
    ):  # fmt: skip
        assert sentence in told


# Rules that need no oracle


def test_supervisord_inherits_from_its_own_section(tmp_path: Path) -> None:
    text = (
        "[supervisord]\nuser=root\numask=077\ndirectory=/srv\n[program:a]\ncommand=a\nstdout_logfile=logs/a.log\n"
        "stderr_logfile=syslog\nstderr_logfile_backups=1\nstopwaitsecs=900\n"
        "environment=A-B=1,SUPERVISOR_ENABLED=0,OK=1\n"
    )
    fields = only(tmp_path / "supervisord.conf", text)
    assert (fields["user"], fields["umask"], fields["directory"]) == ("root", "077", "/srv")
    assert fields["stdout_logfile"] == "/srv/logs/a.log"
    assert (fields["environment"], fields["stop_grace_seconds"]) == ({"OK": "1"}, 300)
    told = comments(written(tmp_path / "supervisord.conf"))
    for sentence in (
        "A-B can't be set, and is left out", "SUPERVISOR_ENABLED can't be set", "syslog has no counterpart",
        "stderr_logfile_backups is not used", "stopwaitsecs = 900: 300 is the nearest that is possible",
        "'logs/a.log' is taken to be in /srv",
    ):  # fmt: skip
        assert sentence in told


@pytest.mark.parametrize(
    ("name", "text"),
    [
        (
            "process-compose.yaml",
            "processes: {a: {command: x, environment: ['A.B=1', SUPERVISOR_ENABLED=1, C=2]}}",
        ),
        ("a.service", "[Service]\nExecStart=/bin/x\nEnvironment=A.B=1 SUPERVISOR_ENABLED=1 C=2\n"),
        ("ecosystem.json", '{"script": "x", "env": {"A.B": 1, "SUPERVISOR_ENABLED": 1, "C": 2}}'),
    ],
)
def test_variables_that_programs_cannot_have_are_left_out(tmp_path: Path, name: str, text: str) -> None:
    fields = only(tmp_path / name, text)
    fields["environment"].pop("NODE_APP_INSTANCE", None)
    assert fields["environment"] == {"C": "2"}
    told = comments(written(tmp_path / name))
    assert "A.B can't be set, and is left out" in told
    assert "SUPERVISOR_ENABLED can't be set, and is left out" in told


def test_a_program_in_two_groups_is_two(tmp_path: Path) -> None:
    file = write(
        tmp_path / "s.conf", "[program:a]\ncommand=a\n[group:x]\nprograms=a\n[group:y]\nprograms=a\n"
    )
    programs = parse(written(file), {})["programs"]
    assert [(each["name"], each["labels"]) for each in programs] == [
        ("a", {"group": "x"}),
        ("y:a", {"group": "y"}),
    ]


def test_env_files_that_would_be_read_differently_are_copied(tmp_path: Path) -> None:
    write(tmp_path / ".env", "A=x\\ty\nB=1 2 # comment\n")
    fields = only(tmp_path / "Procfile", "web: a\n")
    assert "env_file" not in fields
    assert fields["environment"] == {"A": "xty", "B": "12", "PORT": "5000"}
    assert "Copied from .env, which env_file would read differently" in comments(
        written(tmp_path / "Procfile")
    )


@needs_node
def test_pm2_takes_yaml_and_json_with_comments(tmp_path: Path) -> None:
    fields = only(tmp_path / "ecosystem.yml", "apps:\n  - script: /bin/sleep\n    args: 10 20\n")
    assert shlex.split(fields["command"]) == ["/bin/sleep", "10", "20"]
    (fields,) = imported("pm2/ecosystem.json").values()
    assert fields["command"] == f"bash {FOREIGN}/pm2/shop/worker.sh"
    text = (
        "export default { script: 'x.py', instances: 'max', exec_mode: 'cluster', interpreter: 'python3' };\n"
    )
    fields = only(tmp_path / "ecosystem.config.mjs", text)
    assert fields.get("numprocs", 1) == os.cpu_count()
    told = comments(written(tmp_path / "ecosystem.config.mjs"))
    assert "depends on the cores of the host" in told
    assert "There is no 'x.py' here" in told


def test_environments_of_pm2_are_chosen_by_name(tmp_path: Path) -> None:
    file = write(
        tmp_path / "ecosystem.json", '{"script": "x", "env": {"A": 1, "B": 2}, "env_test": {"A": 3}}'
    )
    (fields,) = parse(written(file, environment="test"), {})["programs"]
    assert fields["environment"] == {"A": "3", "B": "2", "NODE_APP_INSTANCE": "0"}
    assert "There is no env_other" in comments(written(file, environment="other"))
    with pytest.raises(Problem, match=r"^Only files of pm2 have environments to choose by --env$"):
        written(write(tmp_path / "Procfile", "a: b\n"), environment="test")


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("ecosystem.json", '{"script": "x", "uid": %s}'),
        ("a.service", "[Service]\nExecStart=/bin/x\nUser=%s\n"),
        ("s.conf", "[program:a]\ncommand=a\nuser=%s\n"),
    ],
)
def test_users_may_be_numbers(tmp_path: Path, name: str, text: str) -> None:
    assert only(tmp_path / name, text % os.getuid())["user"] == OWN_USER
    assert str(only(tmp_path / name, text % 4_000_000_000)["user"]) == "4000000000"
    assert "There is no user with the number 4000000000" in comments(written(tmp_path / name))


def test_process_compose_probes(tmp_path: Path) -> None:
    text = """
processes:
  a:
    command: x
    readiness_probe: {http_get: {host: example.com, scheme: https, port: "1"}}
    liveness_probe: {exec: {command: check it, working_dir: sub}, initial_delay_seconds: 4}
"""
    fields = only(tmp_path / "process-compose.yaml", text)
    assert "ready" not in fields
    assert shlex.split(fields["health"].pop("command")) == [
        "sh", "-c", 'cd "$1" && shift && exec "$@"', "sh", f"{tmp_path}/sub", "bash", "-c", "check it",
    ]  # fmt: skip
    assert fields["health"] == {
        "interval": 10, "timeout": 1, "after_seconds": 4, "successes": 1, "failures": 3, "grace_seconds": 0,
    }  # fmt: skip
    assert "probes speak http, not https" in comments(written(tmp_path / "process-compose.yaml"))


def test_process_compose_replicas_know_their_number(tmp_path: Path) -> None:
    text = "processes:\n  a: {command: 'echo $$PC_REPLICA_NUM {{.PC_REPLICA_NUM}}', replicas: 2}\n"
    fields = only(tmp_path / "process-compose.yaml", text)
    assert fields["command"] == "env PC_REPLICA_NUM={instance} bash -c 'echo $PC_REPLICA_NUM {instance}'"


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ("Restart=always\nRestartSec=3", {"autorestart": "true", "restart_delay_seconds": 3,
                                          "restart_delay_max_seconds": 3}),
        ("Restart=always\nStartLimitInterval=0", {"autorestart": "true", "restart_delay_max_seconds": 1}),
        ("Restart=on-abnormal\nStartLimitBurst=0", {"restart_delay_max_seconds": 1}),
        ("ExecReload=/bin/kill -s USR2 ${MAINPID}", {"reload": {"signal": "USR2"}}),
        ("ExecReload=/bin/a $MAINPID b", {"reload": {"command": "sh -c 'set -f; exec /bin/a $MAINPID b'"}}),
        ("ExecStop=/bin/kill -INT $MAINPID", {"stop_signal": "INT"}),
        ("TimeoutStopSec=infinity\nKillMode=process", {"stop_grace_seconds": 300}),
        ("StandardOutput=file:/a\nStandardError=file:/b", {"stdout_logfile": "/a", "stderr_logfile": "/b"}),
        ("StandardOutput=null", {"logs_enabled": False}),
        ("StandardError=null", {"stderr_logfile": "/dev/null"}),
        ("WorkingDirectory=-/srv/%n\nUser=%N", {"directory": "/srv/a.service", "user": "a"}),
        ("LimitCPU=1min\nLimitSTACK=8M\nNice=-5", {"limits": {"cpu": 60, "stack": 8 * 1024**2}, "nice": -5}),
        ("Environment=A=1\nEnvironment=\nEnvironment=B=2", {"environment": {"B": "2"}}),
    ],
)  # fmt: skip
def test_options_of_systemd(tmp_path: Path, options: str, expected: dict[str, Any]) -> None:
    plain = {
        "name": "a", "command": "/bin/a", "user": OWN_USER, "directory": "/", "autorestart": "false",
        "start_seconds": 0, "restart_delay_max_seconds": 1, "stop_scope": "tree", "stop_grace_seconds": 90,
    }  # fmt: skip
    fields = only(tmp_path / "a.service", f"[Service]\nExecStart=/bin/a\n{options}\n")
    if "Restart=on-" in options:
        plain.pop("autorestart")
    if "KillMode" in options:
        plain.pop("stop_scope")
    assert fields == {**plain, **expected}


def test_variables_that_only_the_start_knows_are_filled_in_by_a_shell(tmp_path: Path) -> None:
    fields = only(tmp_path / "a.service", "[Service]\nExecStart=/bin/a ${HOME}/x $USER '$5 \"`'\n")
    assert split_words(fields["command"]) == ["sh", "-c", 'set -f; exec /bin/a "${HOME}/x" $USER \'$5 "`\'']


def test_services_of_a_user_run_as_the_user(tmp_path: Path) -> None:
    file = tmp_path / "systemd" / "user" / "a.service"
    fields = only(file, "[Service]\nExecStart=/bin/a %u %h\n")
    assert fields["command"] == f"/bin/a {OWN_USER} {Path(f'~{OWN_USER}').expanduser()}"
    assert "directory" not in fields


@pytest.mark.parametrize(
    ("text", "expected"), [("1min 30s", 90), ("2h", 7200), ("1.5", 1.5), ("500ms", 0.5), ("1d1s", 86401)]
)
def test_times_of_systemd(text: str, expected: float) -> None:
    assert durations.seconds(text) == pytest.approx(expected)
