"""Programs: what is to run. What does run is never stored; ``runtime`` asks supervisord."""

from __future__ import annotations

import hashlib
import shlex
from typing import Any

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.validators import MaxLengthValidator, MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import F, Q

from daemon_programs.supervisor import spec
from daemon_programs.transactions import write_transaction
from daemon_programs.validators import rules, terminals, webhook_config

PROGRAM_PREFIX = "program-"  # of the groups of lasting programs


def _between(limits: tuple[int, int]) -> list[Any]:
    return [MinValueValidator(limits[0]), MaxValueValidator(limits[1])]


class SupervisedProgram(models.Model):
    """What every program has, a lasting one as well as a temporary one (contract, section 3)."""

    name = models.CharField(
        max_length=rules.NAME_LENGTH,
        unique=True,
        validators=[rules.check_name],
        help_text="Any text without quotes and control characters.",
    )
    command = models.TextField(
        validators=[rules.check_command],
        help_text="Split into arguments as a shell would, but run without one.",
    )
    user = models.CharField(
        max_length=64, validators=[rules.check_user], help_text="The system user that it runs as."
    )
    directory = models.TextField(
        blank=True,
        default="",
        validators=[rules.check_directory],
        help_text="Absolute. Empty: the user's home.",
    )
    environment = models.JSONField(
        default=dict,
        blank=True,
        validators=[rules.check_environment],
        help_text='Variables, as JSON: {"NODE_ENV": "production"}',
    )
    autorestart = models.CharField(
        max_length=10,
        default="unexpected",
        choices=[
            ("unexpected", "unexpected: after a failure"),
            ("true", "true: always"),
            ("false", "false: never"),
        ],
    )
    delay_seconds = models.PositiveIntegerField(
        default=0,
        validators=_between(rules.DELAY_SECONDS),
        help_text="Seconds that pass before the command is run, at every start.",
    )
    stop_grace_seconds = models.PositiveIntegerField(
        default=10,
        validators=_between(rules.STOP_GRACE_SECONDS),
        help_text="Seconds from SIGTERM to SIGKILL when it is stopped. 0: SIGKILL at once.",
    )
    priority = models.PositiveIntegerField(
        default=rules.PRIORITY[1], validators=_between(rules.PRIORITY), help_text="Lower starts first."
    )
    logs_enabled = models.BooleanField(default=True)
    stdout_logfile = models.TextField(
        blank=True,
        default="",
        validators=[rules.check_stdout_logfile],
        help_text="Absolute. Empty: in the state folder.",
    )
    stderr_logfile = models.TextField(
        blank=True,
        default="",
        validators=[rules.check_stderr_logfile],
        help_text="Absolute. Empty: in the state folder.",
    )
    log_max_bytes = models.BigIntegerField(
        default=5 * 1024 * 1024,
        validators=_between(rules.LOG_MAX_BYTES),
        help_text="A log is rotated at this size. 0: never.",
    )
    log_backups = models.PositiveIntegerField(
        default=2, validators=_between(rules.LOG_BACKUPS), help_text="Rotated files to keep."
    )
    display = models.CharField(
        max_length=100,
        blank=True,
        default="",
        validators=[rules.check_display],
        help_text='X display: "1" or ":1".',
    )
    terminal_id = models.PositiveIntegerField(
        null=True,
        blank=True,
        validators=_between(rules.PORTS),
        help_text="Run it in a terminal session of this number.",
    )
    terminal_shell = models.CharField(
        max_length=10,
        blank=True,
        default="",
        choices=[(shell, shell) for shell in terminals.SHELLS],
        validators=[terminals.check_shell],
        help_text="Loads its start-up files before the command; tmux: a session that people can attach to.",
    )
    terminal_interactive = models.BooleanField(
        null=True,
        blank=True,
        help_text="Yes: the shell stays when the command has ended. Unknown: the command decides.",
    )

    class Meta:
        abstract = True

    def __str__(self) -> str:
        return self.name

    @property
    def group(self) -> str:
        """Supervisord's name of it: made of the id, since names are free text and may change."""
        raise NotImplementedError

    def full_clean(self, *args: Any, **kwargs: Any) -> None:
        """Check everything, but for what was taken when it was there and has vanished since.

        Whose user or folder has gone can be described anew, or given another one, all the same.
        """
        try:
            super().full_clean(*args, **kwargs)
        except ValidationError as problem:
            errors = {
                field: errors
                for field, errors in problem.error_dict.items()
                if not (all(error.code == rules.VANISHED for error in errors) and self._keeps(field))
            }
            if errors:
                raise ValidationError(errors) from None

    def _keeps(self, field: str) -> bool:
        """Whether a field has the value that is stored."""
        return type(self)._default_manager.filter(pk=self.pk, **{field: getattr(self, field)}).exists()

    def clean(self) -> None:
        """The rules that concern more than one field; also brings values into their one form."""
        if self.display:
            self.display = rules.normal_display(self.display)
        if not self.directory:
            try:
                rules.check_home(self.user)
            except ValidationError as problem:
                raise ValidationError({"directory": problem.messages}) from None
        terminals.check(self.terminal_id, self.terminal_shell, self.terminal_interactive)

    def validate_unique(self, exclude: Any = None) -> None:
        """Name the value that is taken: Django's own sentence doesn't."""
        namesakes = type(self)._default_manager.filter(name=self.name).exclude(pk=self.pk)
        if namesakes.exists():
            raise ValidationError({"name": f"Name '{self.name}' is already in use by another program"})

    def default_log(self, stream: str) -> str:
        return str(settings.LOGS_DIR / folder_name(self.name) / f"{stream}.log")

    def log_path(self, stream: str, port: int | None = None) -> str:
        """The file that a stream (``stdout`` or ``stderr``) of the program, or of an instance, goes to."""
        path: str = getattr(self, f"{stream}_logfile") or self.default_log(stream)
        return path if port is None else spec.log_of_port(path, port)

    def variables(self) -> dict[str, str]:
        """What is added to the environment by fields other than ``environment``, which wins."""
        variables = {"DISPLAY": self.display} if self.display else {}
        if self.terminal_id is not None:
            variables["TERM"] = "xterm-256color"
        return {**variables, **self.environment}

    @property
    def attach_command(self) -> str | None:
        """How people join its terminal session, if it is one that can be joined."""
        if self.terminal_id is None or self.terminal_shell != terminals.TMUX:
            return None
        return terminals.attach_command(self.terminal_id)

    def specification(self) -> spec.Specification:
        """What supervisord is to run."""
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
            directory=self.directory or None,
            stdout=self.log_path("stdout") if self.logs_enabled else None,
            stderr=self.log_path("stderr") if self.logs_enabled else None,
            log_max_bytes=self.log_max_bytes,
            log_backups=self.log_backups,
            autorestart=self.autorestart,
            priority=self.priority,
            delay_seconds=self.delay_seconds,
            stop_grace_seconds=self.stop_grace_seconds,
            **terminal,
        )


class Program(SupervisedProgram):
    """A registered program: supervised as long as it is enabled."""

    description = models.TextField(
        blank=True, default="", validators=[MaxLengthValidator(rules.DESCRIPTION_LENGTH)]
    )
    enabled = models.BooleanField(
        default=True, help_text="Registered with supervisord; otherwise it can't be started."
    )
    boot = models.BooleanField(default=False, help_text="Started when the daemon starts.")
    port_start = models.PositiveIntegerField(
        null=True, blank=True, verbose_name="first port", help_text="One process is run per port."
    )
    port_end = models.PositiveIntegerField(null=True, blank=True, verbose_name="last port")
    port_param = models.CharField(
        max_length=1000,
        blank=True,
        default="",
        help_text=(
            "How the port is handed over at the end of the command (--port if empty), "
            "unless the command says {port}."
        ),
    )
    lazy_load = models.BooleanField(default=False, help_text="Its instances are started on demand only.")
    ready_port = models.PositiveIntegerField(
        null=True,
        blank=True,
        validators=_between(rules.PORTS),
        help_text="It is ready when 127.0.0.1 accepts connections on this port.",
    )
    webhooks = models.JSONField(
        null=True,
        blank=True,
        validators=[webhook_config.check],
        help_text='Whom to tell of state changes: {"urls": ["https://example.com/hook"], "events": "*"}',
    )

    class Meta:
        ordering = ["id"]
        permissions = [("operate_program", "Can start, stop and restart programs")]
        constraints = [
            models.CheckConstraint(
                name="port_range_whole",
                condition=Q(port_start__isnull=True, port_end__isnull=True)
                | Q(port_start__lte=F("port_end"), port_start__gte=1, port_end__lte=65535),
            ),
            models.CheckConstraint(name="boot_or_lazy", condition=Q(boot=False) | Q(lazy_load=False)),
        ]
        indexes = [models.Index(fields=["port_start", "port_end"], name="program_ports")]

    def save(self, *args: Any, **kwargs: Any) -> None:
        """Save, and bring it into supervisord: both, or neither (see ``signals``)."""
        with write_transaction():
            super().save(*args, **kwargs)

    def delete(self, *args: Any, **kwargs: Any) -> tuple[int, dict[str, int]]:
        """Delete, and withdraw from supervisord: both, or neither."""
        with write_transaction():
            return super().delete(*args, **kwargs)

    @property
    def group(self) -> str:
        return f"{PROGRAM_PREFIX}{self.pk}"

    @property
    def has_ports(self) -> bool:
        return self.port_start is not None

    @property
    def ports(self) -> range:
        """The ports of its range; empty for an ordinary program."""
        if self.port_start is None or self.port_end is None:
            return range(0)
        return range(self.port_start, self.port_end + 1)

    @property
    def hoody_kit(self) -> bool:
        return bool(self.directory) and rules.is_below(self.directory, settings.KIT_ROOT)

    def instance_name(self, port: int) -> str:
        return f"{self.name}_{port}"

    def clean(self) -> None:
        super().clean()
        errors: dict[str, str] = {}
        try:
            rules.check_port_range(self.port_start, self.port_end)
        except ValidationError as problem:
            raise ValidationError({"port_start": problem.messages}) from None
        if self.port_param and not self.has_ports:
            errors["port_param"] = "port_param requires port_range to be set"
        elif self.port_param:
            _split_port_param(self.port_param)
        if self.has_ports and self.terminal_id is not None:
            errors["terminal_id"] = "Field 'terminal_id' can't be combined with port_range"
        if self.has_ports and self.ready_port is not None:
            errors["ready_port"] = "Field 'ready_port' can't be combined with port_range"
        if self.lazy_load and self.boot:
            errors["lazy_load"] = "Field 'lazy_load' can't be combined with boot: true"
        if errors:
            raise ValidationError(errors)
        self._check_overlap()
        self._check_terminal_is_free()
        self._clean_webhooks()

    def _check_overlap(self) -> None:
        if not self.has_ports:
            return
        other = (
            Program.objects.filter(port_start__lte=self.port_end, port_end__gte=self.port_start)
            .exclude(pk=self.pk)
            .first()
        )
        if other:
            raise ValidationError(
                {
                    "port_start": f"Port range overlaps with program '{other.name}' "
                    f"[{other.port_start}-{other.port_end}]"
                }
            )

    def _check_terminal_is_free(self) -> None:
        if self.terminal_id is None:
            return
        other = Program.objects.filter(terminal_id=self.terminal_id).exclude(pk=self.pk).first()
        if other:
            raise ValidationError(
                {"terminal_id": f"Terminal {self.terminal_id} is already in use by program '{other.name}'"}
            )

    def _clean_webhooks(self) -> None:
        """Bring the block into its one form; what is wrong with it, the field's validator says."""
        if self.webhooks is None:
            return
        try:
            webhook_config.check(self.webhooks)
        except ValidationError as problem:
            if self.webhooks == {}:  # to Django no value at all, so the validator was not asked
                raise ValidationError({"webhooks": problem.messages}) from None
        else:
            self.webhooks = webhook_config.normal(self.webhooks)

    def specification(self) -> spec.Specification:
        base = super().specification()
        changes: dict[str, Any] = {"autostart": self.boot}
        if self.has_ports:
            changes.update(
                argv=spec.with_port(base.argv, _split_port_param(self.port_param or "--port")),
                stdout=base.stdout and spec.log_per_port(base.stdout),
                stderr=base.stderr and spec.log_per_port(base.stderr),
                ports=(self.port_start, self.port_end),
            )
        return spec.Specification(**{**vars(base), **changes})


def _split_port_param(port_param: str) -> list[str]:
    try:
        words = shlex.split(port_param)
    except ValueError as problem:
        raise ValidationError(
            {"port_param": f"Field 'port_param' can't be split into arguments: {str(problem).lower()}"}
        ) from None
    if not words:
        raise ValidationError({"port_param": "Field 'port_param' must not be empty"})
    return words


def folder_name(name: str) -> str:
    """The folder of a program's default logs: its name, unless a file can't be called that."""
    stands_for_itself = "/" not in name and spec.PORT not in name and not name.startswith((".", "~"))
    if stands_for_itself and len(name.encode()) <= 255:
        return name
    readable = "".join(character if character.isalnum() else "_" for character in name)[:40]
    return f"~{readable}-{hashlib.sha256(name.encode()).hexdigest()[:12]}"
