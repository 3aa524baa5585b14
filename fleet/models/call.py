"""The history of a hub: who has asked for what on which host."""

from django.db import models
from django.db.models.functions import Now


class HostCall(models.Model):
    """A request that was passed on to a host and may have changed something there. It outlives the host."""

    at = models.DateTimeField("time", db_default=Now(), editable=False, db_index=True)
    user = models.CharField(max_length=150)
    host = models.CharField(max_length=63, db_index=True, help_text="Its name at that time.")
    method = models.CharField(max_length=10)
    path = models.CharField(max_length=500)  # below the host's URL, without the query
    code = models.PositiveIntegerField(null=True, help_text="The HTTP status; empty if none has arrived.")
    error = models.TextField(blank=True, default="")

    class Meta:
        ordering = ["-id"]

    def __str__(self) -> str:
        return f"{self.method} {self.path} on {self.host} by {self.user}"
