"""The abstract model that programs and temporary programs share."""

from __future__ import annotations

import hashlib
from collections.abc import Collection
from typing import Any

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import models

from daemon_programs.models.checked_json import CheckedJSONField
from daemon_programs.models.fields import column
from daemon_programs.supervisor import spec, terminals
from daemon_programs.supervisor.instances import KINDS, Key
from daemon_programs.supervisor.processes import signals
from daemon_programs.validators import processes, restarts, rules, world
from daemon_programs.validators.stopping import check_terminal_signals
from daemon_programs.validators.terminals import check_shell, check_terminal


class SupervisedProgram(models.Model):
    """The fields and rules that programs and temporary programs share (docs/contract.md, section 3)."""

    name = models.CharField(
        max_length=rules.NAME_LENGTH, unique=True, validators=[rules.check_name], **column("name")
    )
    command = models.TextField(validators=[rules.check_command], **column("command"))
    user = models.CharField(max_length=64, validators=[rules.check_user], **column("user"))
    directory = models.TextField(
        blank=True, default="", validators=[rules.check_directory], **column("directory")
    )
    environment = models.JSONField(blank=True, validators=[rules.check_environment], **column("environment"))
    env_file = models.TextField(
        blank=True, default="", validators=[world.check_env_file], **column("env_file")
    )
    umask = models.CharField(
        max_length=10,
        validators=[world.check_umask],
        error_messages={"blank": world.UMASK_SENTENCE},
        **column("umask"),
    )
    nice = models.IntegerField(**column("nice"))
    limits = CheckedJSONField(blank=True, validators=[world.check_limits], **column("limits"))
    autorestart = models.CharField(
        max_length=10,
        choices=[
            ("unexpected", "unexpected: after a failure"),
            ("true", "true: always"),
            ("false", "false: never"),
        ],
        **column("autorestart"),
    )
    delay_seconds = models.PositiveIntegerField(**column("delay_seconds"))
    stop_grace_seconds = models.PositiveIntegerField(**column("stop_grace_seconds"))
    start_seconds = models.PositiveIntegerField(**column("start_seconds"))
    start_retries = models.PositiveIntegerField(null=True, blank=True, **column("start_retries"))
    restart_delay_seconds = models.PositiveIntegerField(**column("restart_delay_seconds"))
    restart_delay_max_seconds = models.PositiveIntegerField(**column("restart_delay_max_seconds"))
    stable_seconds = models.PositiveIntegerField(**column("stable_seconds"))
    restart_limit = models.PositiveIntegerField(null=True, blank=True, **column("restart_limit"))
    exit_codes = models.JSONField(
        validators=[restarts.check_exit_codes],
        error_messages={
            "blank": restarts.EXIT_CODES_SENTENCE,
            "null": restarts.EXIT_CODES_SENTENCE,
            "invalid": restarts.EXIT_CODES_SENTENCE,
        },
        **column("exit_codes"),
    )
    stop_signal = models.CharField(
        max_length=10, choices=[(name, name) for name in signals.STOP_SIGNALS], **column("stop_signal")
    )
    stop_scope = models.CharField(
        max_length=10,
        choices=[
            (signals.MAIN, "main: the program's process first"),
            (signals.TREE, "tree: all processes at once"),
        ],
        **column("stop_scope"),
    )
    priority = models.PositiveIntegerField(**column("priority"))
    logs_enabled = models.BooleanField(**column("logs_enabled"))
    stdout_logfile = models.TextField(
        blank=True, default="", validators=[rules.check_stdout_logfile], **column("stdout_logfile")
    )
    stderr_logfile = models.TextField(
        blank=True, default="", validators=[rules.check_stderr_logfile], **column("stderr_logfile")
    )
    log_max_bytes = models.BigIntegerField(**column("log_max_bytes"))
    log_backups = models.PositiveIntegerField(**column("log_backups"))
    redirect_stderr = models.BooleanField(**column("redirect_stderr"))
    log_timestamps = models.BooleanField(**column("log_timestamps"))
    display = models.CharField(
        max_length=100, blank=True, default="", validators=[rules.check_display], **column("display")
    )
    terminal_id = models.PositiveIntegerField(null=True, blank=True, **column("terminal_id"))
    terminal_shell = models.CharField(
        max_length=10,
        blank=True,
        default="",
        choices=[(shell, shell) for shell in terminals.SHELLS],
        validators=[check_shell],
        **column("terminal_shell"),
    )
    terminal_interactive = models.BooleanField(null=True, blank=True, **column("terminal_interactive"))
    stdin = models.CharField(
        max_length=10, choices=[(choice, choice) for choice in processes.STDIN], **column("stdin")
    )

    before_start = models.JSONField(blank=True, **column("before_start"))
    memory_limit_bytes = models.BigIntegerField(null=True, blank=True, **column("memory_limit_bytes"))

    class Meta:
        abstract = True

    def __str__(self) -> str:
        return self.name

    @property
    def group(self) -> str:
        """Return supervisord's name of the program, made from the id: names are free text and may change."""
        raise NotImplementedError

    def full_clean(self, *args: Any, **kwargs: Any) -> None:
        """Validate all fields, except a stored user, folder or shell that has been removed since.

        So the other fields of such a program can still be changed.
        """
        try:
            super().full_clean(*args, **kwargs)
        except ValidationError as problem:
            errors = {
                field: errors
                for field, errors in problem.error_dict.items()
                if not (all(error.code == rules.VANISHED for error in errors) and self._is_stored(field))
            }
            if errors:
                raise ValidationError(errors) from None

    def _is_stored(self, field: str) -> bool:
        """Return whether the field has the value that the database has."""
        return type(self)._default_manager.filter(pk=self.pk, **{field: getattr(self, field)}).exists()

    def clean_fields(self, exclude: Collection[str] | None = None) -> None:
        """Validate each field, then what the system must allow.

        Whether the directory exists is told as far as the user may see that.
        """
        errors: dict[str, list[ValidationError]] = {}
        try:
            super().clean_fields(exclude)
        except ValidationError as problem:
            errors = problem.error_dict
        is_user_unknown = bool(settings.ALLOWED_USERS) and "user" in errors
        if self.directory and not is_user_unknown and "directory" not in {*errors, *(exclude or ())}:
            try:
                rules.check_existing_directory(self.user, self.directory)
            except ValidationError as problem:
                errors["directory"] = problem.error_list
        if "nice" not in {*errors, *(exclude or ())}:
            try:
                world.check_nice(self.nice)
            except ValidationError as problem:
                errors["nice"] = problem.error_list
        if errors:
            raise ValidationError(errors)

    def clean(self) -> None:
        """Check the rules between fields, and normalize values."""
        if self.display:
            self.display = rules.normalize_display(self.display)
        if not self.directory:
            try:
                rules.check_home(self.user)
            except ValidationError as problem:
                raise ValidationError({"directory": problem.messages}) from None
        self._clean_world()
        check_terminal(self.terminal_id, self.terminal_shell, self.terminal_interactive)
        check_terminal_signals(self.terminal_id, self.stop_signal)
        self.exit_codes = restarts.normalize_exit_codes(self.exit_codes)
        try:
            restarts.check_delays(self.restart_delay_seconds, self.restart_delay_max_seconds)
        except ValidationError as problem:
            raise ValidationError({"restart_delay_seconds": problem.messages}) from None
        processes.check_stdin(self.stdin, self.terminal_id)
        self._clean_before_start()

    def _clean_world(self) -> None:
        """Check and normalize what surrounds the process."""
        self.umask = world.normalize_umask(self.umask)
        if self.limits is None:
            self.limits = {}
        if self.log_timestamps and self.terminal_id is not None:
            raise ValidationError(
                {"log_timestamps": "Field 'log_timestamps' can't be combined with terminal_id"}
            )

    def _clean_before_start(self) -> None:
        """Check the commands. Django's fields run no validators on empty values, such as an object."""
        if self.before_start is None:
            self.before_start = []
        try:
            processes.check_before_start(self.before_start)
        except ValidationError as problem:
            raise ValidationError({"before_start": problem.messages}) from None

    def validate_unique(self, exclude: Any = None) -> None:
        """Check that the name is free. Django's own message does not say which name it is."""
        others = type(self)._default_manager.filter(name=self.name).exclude(pk=self.pk)
        if others.exists():
            raise ValidationError({"name": f"Name '{self.name}' is already in use by another program"})

    def default_log(self, stream: str) -> str:
        """Return the path of a log for which the program names no file."""
        return f"{settings.LOGS_DIR}/{folder_name(self.name)}/{stream}.log"

    def log_path(self, stream: str, key: Key | None = None) -> str:
        """Return the path of the log of ``stdout`` or ``stderr``; with ``key`` that of the instance."""
        path: str = getattr(self, f"{stream}_logfile") or self.default_log(stream)
        return path if key is None else spec.log_of_instance(path, key)

    def variables(self) -> dict[str, str]:
        """Return the environment: variables that other fields imply, and ``environment``, which wins."""
        variables = {"DISPLAY": self.display} if self.display else {}
        if self.terminal_id is not None:
            variables["TERM"] = "xterm-256color"
        return {**variables, **self.environment}

    @property
    def env_files(self) -> list[str]:
        """Return the paths of the files of variables; ``-`` precedes one that may be missing."""
        return world.env_files(self.env_file)

    @property
    def attach_command(self) -> str | None:
        """Return the command that attaches to its tmux session; None if it has none."""
        if self.terminal_id is None or self.terminal_shell != terminals.TMUX:
            return None
        return terminals.attach_command(self.terminal_id)

    def specification(self) -> spec.Specification:
        """Return what supervisord runs."""
        argv = rules.split_command(self.command)
        terminal: dict[str, Any] = {}
        if self.terminal_id is not None:
            argv = terminals.wrap(argv, self.terminal_id, self.terminal_shell, self.terminal_interactive)
            if self.attach_command:
                terminal = {"private_folder": str(terminals.folder_of(self.terminal_id))}
            else:
                terminal = {"terminal": True}
        return spec.Specification(
            group=self.group,
            name=self.name,
            argv=argv,
            user=self.user,
            environment=self.variables(),
            env_files=self.env_files,
            umask=self.umask,
            nice=self.nice,
            limits=self.limits,
            directory=self.directory or None,
            stdout=self.log_path("stdout") if self.logs_enabled else None,
            stderr=self.log_path("stderr") if self.logs_enabled else None,
            log_max_bytes=self.log_max_bytes,
            log_backups=self.log_backups,
            redirect_stderr=self.redirect_stderr,
            log_timestamps=self.log_timestamps,
            autorestart=self.autorestart,
            priority=self.priority,
            delay_seconds=self.delay_seconds,
            stop_grace_seconds=self.stop_grace_seconds,
            start_seconds=self.start_seconds,
            start_retries=self.start_retries,
            restart_delay_seconds=self.restart_delay_seconds,
            restart_delay_max_seconds=self.restart_delay_max_seconds,
            stable_seconds=self.stable_seconds,
            restart_limit=self.restart_limit,
            exit_codes=self.exit_codes,
            stop_signal=self.stop_signal,
            stop_scope=self.stop_scope,
            stdin=self.stdin,
            before_start=processes.before_start_steps(self.before_start),
            memory_limit_bytes=self.memory_limit_bytes,
            **terminal,
        )


def folder_name(name: str) -> str:
    """Return the name of the folder of a program's default logs.

    It is the program's name, or if no folder can have that name, a readable part of it and a hash.
    """
    is_plain = "/" not in name and not name.startswith((".", "~"))
    has_placeholder = any(kind.placeholder in name for kind in KINDS)
    if is_plain and not has_placeholder and len(name.encode()) <= 255:
        return name
    readable = "".join(character if character.isalnum() else "_" for character in name)[:40]
    return f"~{readable}-{hashlib.sha256(name.encode()).hexdigest()[:12]}"
