"""Programs as they are configured. Their state is never stored: `programs.waiting` queries supervisord."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.validators import MaxLengthValidator
from django.db import models
from django.db.models import F, Q

from daemon_programs.models.checked_json import CheckedJSONField
from daemon_programs.models.fields import DEFAULT_PORT_PARAM, column
from daemon_programs.models.supervised import SupervisedProgram
from daemon_programs.supervisor import spec
from daemon_programs.supervisor.instances import Key, Keys, keys_of
from daemon_programs.text import split_words
from daemon_programs.transactions import write_transaction
from daemon_programs.validators import (
    dependencies,
    instances,
    probes,
    restarts,
    rules,
    stopping,
    webhook_config,
)
from daemon_programs.validators.labels import check_labels, check_set

PROGRAM_PREFIX = "program-"  # of supervisord's groups; temporary programs have another one


class Program(SupervisedProgram):
    """A program that supervisord keeps running as configured while it is enabled."""

    description = models.TextField(
        blank=True, validators=[MaxLengthValidator(rules.DESCRIPTION_LENGTH)], **column("description")
    )
    enabled = models.BooleanField(**column("enabled"))
    boot = models.BooleanField(**column("boot"))
    port_start = models.PositiveIntegerField(
        null=True, blank=True, verbose_name="first port", **column("port_range")
    )
    port_end = models.PositiveIntegerField(null=True, blank=True, verbose_name="last port")
    port_param = models.CharField(max_length=1000, blank=True, default="", **column("port_param"))
    numprocs = models.PositiveIntegerField(**column("numprocs"))
    lazy_load = models.BooleanField(**column("lazy_load"))
    reload = models.JSONField(null=True, blank=True, validators=[stopping.check_reload], **column("reload"))
    ready_port = models.PositiveIntegerField(null=True, blank=True, **column("ready_port"))
    max_runtime_seconds = models.PositiveIntegerField(null=True, blank=True, **column("max_runtime_seconds"))
    ready = models.JSONField(null=True, blank=True, **column("ready"))
    health = models.JSONField(null=True, blank=True, **column("health"))
    depends_on = models.JSONField(null=True, blank=True, **column("depends_on"))
    webhooks = models.JSONField(
        null=True, blank=True, validators=[webhook_config.check], **column("webhooks")
    )
    labels = CheckedJSONField(blank=True, validators=[check_labels], **column("labels"))
    set = models.CharField(max_length=63, blank=True, default="", validators=[check_set], **column("set"))

    # While a set of programs is replaced, what one depends on may follow: the set is checked as a whole.
    is_one_of_a_set = False

    class Meta:
        ordering = ["id"]
        permissions = [("operate_program", "Can start, stop and restart programs")]
        constraints = [
            models.CheckConstraint(
                name="port_range_whole",
                condition=Q(port_start__isnull=True, port_end__isnull=True)
                | Q(port_start__lte=F("port_end"), port_start__gte=1, port_end__lte=65535),
            ),
            models.CheckConstraint(
                name="ports_or_numprocs", condition=Q(port_start__isnull=True) | Q(numprocs=1)
            ),
            models.CheckConstraint(name="boot_or_lazy", condition=Q(boot=False) | Q(lazy_load=False)),
        ]
        indexes = [models.Index(fields=["port_start", "port_end"], name="program_ports")]

    def save(self, *args: Any, **kwargs: Any) -> None:
        """Save the program and apply it to supervisord, both or neither (see ``signals``)."""
        with write_transaction():
            former = Program.objects.filter(pk=self.pk).values_list("name", flat=True).first()
            super().save(*args, **kwargs)
            if former not in (None, self.name):
                self._rename_in_dependents(str(former))

    def delete(self, *args: Any, **kwargs: Any) -> tuple[int, dict[str, int]]:
        """Delete the program and withdraw it from supervisord, both or neither."""
        with write_transaction():
            return super().delete(*args, **kwargs)

    @property
    def group(self) -> str:
        """Return supervisord's name of the program."""
        return f"{PROGRAM_PREFIX}{self.id}"  # `pk` would look the column up: this is asked a lot

    @property
    def has_ports(self) -> bool:
        """Return whether the program has a port range."""
        return self.port_start is not None

    @property
    def has_ready_probe(self) -> bool:
        """Return whether it says when it is ready; otherwise running is enough."""
        return self.ready is not None or self.ready_port is not None

    @property
    def keys(self) -> Keys | None:
        """Return the keys of its instances; None if it has only one process."""
        return keys_of(self._port_range, self.numprocs)

    @property
    def _port_range(self) -> tuple[int, int] | None:
        """Return the first and the last port of its range."""
        if self.port_start is None or self.port_end is None:
            return None
        return self.port_start, self.port_end

    @property
    def hoody_kit(self) -> bool:
        """Return whether the directory lies below the root of the kits."""
        return bool(self.directory) and rules.is_below(self.directory, settings.KIT_ROOT)

    def has_process(self, key: Key | None) -> bool:
        """Return whether it has the instance of a key, or for None a single process."""
        return self.keys is None if key is None else self.keys is not None and key in self.keys

    def instance_name(self, key: Key) -> str:
        """Return the name of an instance."""
        return f"{self.name}_{key.value}"

    def clean(self) -> None:
        """Check the rules between fields and between programs; normalize the webhook config."""
        super().clean()
        if self.labels is None:
            self.labels = {}
        self._check_reload()
        errors: dict[str, str] = {}
        try:
            rules.check_port_range(self.port_start, self.port_end)
        except ValidationError as problem:
            raise ValidationError({"port_start": problem.messages}) from None
        if not self.has_ports and self.port_param == DEFAULT_PORT_PARAM:
            self.port_param = ""  # docs/contract.md, section 3: clients send every default
        if self.port_param and not self.has_ports:
            errors["port_param"] = "port_param requires port_range to be set"
        elif self.port_param:
            _split_port_param(self.port_param)
        if self.has_ports and self.terminal_id is not None:
            errors["terminal_id"] = "Field 'terminal_id' can't be combined with port_range"
        if self.has_ports and self.ready_port is not None:
            errors["ready_port"] = "Field 'ready_port' can't be combined with port_range"
        try:
            restarts.check_max_runtime(self.start_seconds, self.max_runtime_seconds)
        except ValidationError as problem:
            errors["start_seconds"] = problem.messages[0]
        if self.ready is not None and self.ready_port is not None:
            errors["ready"] = "Field 'ready' can't be combined with ready_port, which is its short form"
        if self.lazy_load and self.boot:
            errors["lazy_load"] = "Field 'lazy_load' can't be combined with boot: true"
        if errors:
            raise ValidationError(errors)
        instances.check_numprocs(
            self.numprocs,
            has_ports=self.has_ports,
            terminal_id=self.terminal_id,
            ready_port=self.ready_port,
        )
        self._check_overlap()
        self._check_terminal_is_free()
        self._clean_webhooks()
        self._check_probes()
        self._clean_dependencies()

    def _check_reload(self) -> None:
        stopping.check_terminal_signals(self.terminal_id, self.stop_signal, self.reload)
        if self.reload is not None and not self.reload:  # Django runs no validators on an empty value
            try:
                stopping.check_reload(self.reload)
            except ValidationError as problem:
                raise ValidationError({"reload": problem.messages}) from None

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
        """Normalize the webhook config. An invalid one is reported by the field's validator."""
        if self.webhooks is None:
            return
        try:
            webhook_config.check(self.webhooks)
        except ValidationError as problem:
            if self.webhooks == {}:  # Django runs no validators on an empty value
                raise ValidationError({"webhooks": problem.messages}) from None
        else:
            self.webhooks = webhook_config.normalize(self.webhooks)

    def _check_probes(self) -> None:
        """Check the probes here: Django runs no validators on an empty object."""
        for field, check in (("ready", probes.check_ready), ("health", probes.check_health)):
            probe = getattr(self, field)
            if probe is None:
                continue
            try:
                check(probe)
                probes.check_placeholders(field, probe, self.keys)
            except ValidationError as problem:
                raise ValidationError({field: problem.messages}) from None

    def _clean_dependencies(self) -> None:
        """Check and normalize what it waits for."""
        if self.depends_on is None:
            return
        try:
            dependencies.check_depends_on(self.depends_on)
            self.depends_on = dependencies.normalize(self.depends_on)
            if self.depends_on and not self.is_one_of_a_set:
                self._check_dependencies(self.depends_on)
        except ValidationError as problem:
            raise ValidationError({"depends_on": problem.error_list}) from None

    def _check_dependencies(self, own: dependencies.Dependencies) -> None:
        """Refuse names of programs that don't exist, and circles.

        A program that was removed later may stay named: see `full_clean`.
        """
        others = dict(Program.objects.exclude(pk=self.pk).values_list("name", "depends_on"))
        dependencies.check_circles(self.name, {**others, self.name: own})
        for each in own:
            if each["program"] not in others:
                raise ValidationError(
                    f"Field 'depends_on' names a program that does not exist: '{each['program']}'",
                    rules.VANISHED,
                )

    def _rename_in_dependents(self, former: str) -> None:
        """Let the programs that depend on this one name it as it is called now."""
        for other in Program.objects.exclude(pk=self.pk).filter(depends_on__isnull=False):
            renamed = [
                {**each, "program": self.name} if each["program"] == former else each
                for each in other.depends_on or ()
            ]
            if renamed != other.depends_on:
                other.depends_on = renamed
                other.save()

    def specification(self) -> spec.Specification:
        """Return what supervisord runs: one process, or one for each instance."""
        base = super().specification()
        changes: dict[str, Any] = {
            "autostart": self.boot,
            "numprocs": self.numprocs,
            "max_runtime_seconds": self.max_runtime_seconds,
            "reload": self._reload_specification(),
            "ready": _probe({"port": self.ready_port} if self.ready_port else self.ready),
            "health": _probe(self.health),
            "depends_on": self.depends_on or [],
        }
        if self.has_ports:
            changes.update(
                argv=spec.with_port(base.argv, _split_port_param(self.port_param or DEFAULT_PORT_PARAM)),
                ports=self._port_range,
            )
        if self.keys is not None:
            changes.update(
                stdout=base.stdout and spec.log_per_instance(base.stdout, self.keys.kind),
                stderr=base.stderr and spec.log_per_instance(base.stderr, self.keys.kind),
            )
        return spec.Specification(**{**vars(base), **changes})

    def _reload_specification(self) -> dict[str, Any] | None:
        """Return what a reload does, with the command as an argument list."""
        if self.reload and "command" in self.reload:
            return {"argv": rules.split_command(self.reload["command"], field="reload")}
        return self.reload


def _probe(document: dict[str, Any] | None) -> dict[str, Any] | None:
    """Return a probe with its command as an argument list."""
    if document is None or "command" not in document:
        return document
    return {**document, "command": split_words(document["command"])}


def _split_port_param(port_param: str) -> list[str]:
    try:
        words = split_words(port_param)
    except ValueError as problem:
        raise ValidationError(
            {"port_param": f"Field 'port_param' can't be split into arguments: {str(problem).lower()}"}
        ) from None
    if not words:
        raise ValidationError({"port_param": "Field 'port_param' must not be empty"})
    return words
