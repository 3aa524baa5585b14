"""The answers to requests with a key, which are kept so that a repeated request is carried out once."""

from datetime import timedelta

from django.db import models
from django.utils import timezone

KEPT = timedelta(days=1)


class KeptAnswer(models.Model):
    """A request with an ``Idempotency-Key``, and what was answered. Each user has keys of their own."""

    user = models.CharField(max_length=150)
    key = models.CharField(max_length=100)
    digest = models.CharField(max_length=64)  # of the route and the body
    process = models.CharField(max_length=32)  # the API's that has begun with it
    begun_at = models.DateTimeField(auto_now_add=True, db_index=True)
    code = models.PositiveIntegerField(null=True)  # the HTTP status; None until it is answered
    answer: models.JSONField = models.JSONField(null=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["user", "key"], name="kept_answer_once")]

    def __str__(self) -> str:
        return f"{self.key} of {self.user}"

    @classmethod
    def forget_old(cls) -> int:
        """Delete the answers that were kept for long enough; return how many."""
        return cls.objects.filter(begun_at__lt=timezone.now() - KEPT).delete()[0]
