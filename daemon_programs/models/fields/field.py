"""What is known of each field of a program."""

from dataclasses import dataclass
from enum import Enum, auto
from typing import Any


class Kind(Enum):
    """The JSON type of a field's value."""

    TEXT = auto()
    REQUIRED_TEXT = auto()  # neither missing nor blank
    INTEGER = auto()
    BOOLEAN = auto()
    CHOICE = auto()
    AUTORESTART = auto()  # a choice that clients may also send as a boolean
    STRINGS = auto()  # an object whose values are all strings
    PATHS = auto()  # a path, or a list of paths; stored as lines
    PORT_RANGE = auto()
    WEBHOOKS = auto()
    JSON = auto()  # an object or a list; the model's validators check it


@dataclass(frozen=True)
class ProgramField:
    """One field of a program, as requests, documents and the admin's form need it."""

    name: str
    kind: Kind
    description: str  # in the OpenAPI document
    example: Any
    default: Any = None  # None: no default; documents omit the field while it is not set
    section: str | None = None  # of the admin's form
    help_text: str | None = None  # in the admin's form; None: the description
    limits: tuple[int, int] | None = None  # of an integer, inclusive
    max_length: int | None = None  # of a text; checked before the model's rules
    choices: tuple[str, ...] = ()
    nullable: bool = False  # null clears the field
    restarts: bool = True  # a change restarts a running program
    temporary: bool = True  # temporary programs have the field too
    read_only: bool = False  # derived from other fields; ignored in requests
    columns: tuple[str, ...] = ()  # the model's fields, if their name is another
    hides_default: bool = False  # documents omit the field while it has its default: no client expects it
    schema: dict[str, Any] | None = None  # of a value of JSON or paths, for the OpenAPI document

    @property
    def is_always_shown(self) -> bool:
        """Return whether documents have the field even if it was never set."""
        if self.hides_default:
            return False
        is_effective_path = self.name in ("stdout_logfile", "stderr_logfile")
        return self.kind is Kind.REQUIRED_TEXT or self.default is not None or is_effective_path

    def is_left_out(self, value: Any) -> bool:
        """Return whether documents leave the field out while it has this value."""
        return value == self.default if self.hides_default else value is None

    @property
    def model_columns(self) -> tuple[str, ...]:
        """Return the names of the model's fields that store the value."""
        return () if self.read_only else self.columns or (self.name,)
