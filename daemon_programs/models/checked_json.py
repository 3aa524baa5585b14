"""A JSON column whose validators see every value."""

from typing import Any

from django.db import models


class CheckedJSONField(models.JSONField):
    """Run the validators on all values but None.

    Django runs none on what it takes as empty, so that an object could be set to an empty list or text.
    """

    empty_values = [None]

    def from_db_value(self, value: Any, expression: Any, connection: Any) -> Any:
        """Return the value of a row; most have an empty object, for which there is nothing to parse."""
        return {} if value == "{}" else super().from_db_value(value, expression, connection)

    def deconstruct(self) -> Any:
        """Describe the column to migrations as the plain one that it is for the database."""
        name, _, args, kwargs = super().deconstruct()
        return name, "django.db.models.JSONField", args, kwargs
