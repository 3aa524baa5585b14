"""The model of temporary programs, whose records are kept for a retention time after their end."""

from __future__ import annotations

import re
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models

from daemon_programs.models import Program, SupervisedProgram, folder_name
from daemon_programs.supervisor import spec
from daemon_programs.text import split_words
from daemon_programs.validators import rules

TTL_SECONDS = (1, 86400)
PREFIX = "quick_"


class EphemeralProgramQuerySet(models.QuerySet["EphemeralProgram"]):
    """Select records by whether their program has ended, and when."""

    def live(self) -> EphemeralProgramQuerySet:
        """Return the programs that run or await clean-up."""
        return self.filter(ended_at=None)

    def readable(self) -> EphemeralProgramQuerySet:
        """Return the programs that are live or ended within the retention time."""
        return self.filter(models.Q(ended_at=None) | models.Q(ended_at__gt=_retention_begins()))

    def outdated(self) -> EphemeralProgramQuerySet:
        """Return the programs that ended before the retention time, which are to be purged."""
        return self.filter(ended_at__lte=_retention_begins())


class EphemeralProgram(SupervisedProgram):
    """A temporary program, and how it ended."""

    # Not unique in the database, since a CI job may use one name for each run. `validate_unique` refuses the
    # name of another live program.
    name = models.CharField(max_length=rules.NAME_LENGTH, validators=[rules.check_name])
    temporary_id = models.CharField(max_length=40, unique=True, editable=False)
    ttl = models.PositiveIntegerField(
        null=True,
        blank=True,
        validators=[MinValueValidator(TTL_SECONDS[0]), MaxValueValidator(TTL_SECONDS[1])],
    )
    created_at = models.DateTimeField(editable=False)
    ended_at = models.DateTimeField(null=True, editable=False, db_index=True)
    final_status = models.CharField(max_length=10, blank=True, default="", editable=False)
    exit_code = models.IntegerField(null=True, editable=False)
    signal = models.CharField(max_length=20, blank=True, default="", editable=False)
    error = models.TextField(blank=True, default="", editable=False)

    objects = EphemeralProgramQuerySet.as_manager()

    class Meta:
        ordering = ["id"]
        verbose_name = "temporary program"
        permissions = [("operate_ephemeralprogram", "Can stop temporary programs")]

    @property
    def group(self) -> str:
        """Return the name of the program's group in supervisord."""
        return self.temporary_id

    @property
    def expires_at(self) -> datetime | None:
        """Return the end of the time to live; None without one."""
        return self.created_at + timedelta(seconds=self.ttl) if self.ttl is not None else None

    @property
    def digits(self) -> str:
        """Return the digits of the id."""
        return self.temporary_id.removeprefix(PREFIX)

    @property
    def log_name(self) -> str:
        """Return the name that its log folder is derived from; the digits make it unique."""
        return self.name if self.name.endswith(self.digits) else f"{self.name}_{self.digits}"

    @property
    def log_folder(self) -> Path:
        """Return the folder of its default logs."""
        return Path(settings.LOGS_DIR) / folder_name(self.log_name)

    def default_log(self, stream: str) -> str:
        """Return the default path of a log; ``stream`` is ``stdout`` or ``stderr``."""
        return str(self.log_folder / f"{stream}.log")

    def assign_identity(self) -> None:
        """Set a unique id, the time of creation, and a generated name if none is set.

        Call it within the transaction that saves the record, so that no other launch can take the id.
        """
        now = time.time_ns() // 1000
        while EphemeralProgram.objects.filter(temporary_id=f"{PREFIX}{now}").exists():
            now += 1
        self.temporary_id = f"{PREFIX}{now}"
        self.created_at = datetime.fromtimestamp(now / 1e6, UTC)
        if not self.name:
            self.name = f"{PREFIX}{_program_word(self.command)}_{now}"

    def validate_unique(self, exclude: Any = None) -> None:
        """Raise ValidationError if a registered or live temporary program has the same name."""
        namesakes = EphemeralProgram.objects.live().filter(name=self.name).exclude(pk=self.pk)
        if namesakes.exists() or Program.objects.filter(name=self.name).exists():
            raise ValidationError({"name": f"Name '{self.name}' is already in use by another program"})

    def clean(self) -> None:
        """Raise ValidationError if another program uses the terminal session."""
        super().clean()
        if self.terminal_id is not None and Program.objects.filter(terminal_id=self.terminal_id).exists():
            raise _terminal_in_use(self.terminal_id)
        check_terminal_is_free(self.terminal_id)

    def specification(self) -> spec.Specification:
        """Return what supervisord is to run: started at once, and stopped at the end of the time to live."""
        base = super().specification()
        expires_at = self.expires_at.timestamp() if self.expires_at else None
        return spec.Specification(
            **{**vars(base), "autostart": True, "temporary": True, "expires_at": expires_at}
        )


def check_terminal_is_free(number: int | None) -> None:
    """Raise ValidationError if a live temporary program uses the terminal session."""
    if number is not None and EphemeralProgram.objects.live().filter(terminal_id=number).exists():
        raise _terminal_in_use(number)


def _terminal_in_use(number: int) -> ValidationError:
    return ValidationError({"terminal_id": f"Terminal {number} is already in use by another program"})


def _program_word(command: str) -> str:
    """Return the name of the command's program as one word, for generated names."""
    try:
        words = split_words(command)
    except ValueError:
        words = []
    return re.sub(r"[^A-Za-z0-9_-]", "", Path(words[0]).name if words else "")[:40] or "program"


def _retention_begins() -> datetime:
    return datetime.now(UTC) - timedelta(seconds=settings.EPHEMERAL_RETENTION)
