"""What waits in django-q2's queue, whichever broker carries it: a table of the database, or Redis."""

from collections.abc import Iterator
from typing import Any

from django.conf import settings
from django.core.signing import BadSignature
from django.utils import timezone
from django_q.brokers import get_broker
from django_q.models import OrmQ
from django_q.signing import SignedPackage


def size() -> int | None:
    """Return how many tasks wait; None while Redis is away. Of the table, those under way count as well."""
    if not settings.BROKER_URL:
        return OrmQ.objects.count()
    from redis import RedisError  # which processes load that use it

    try:
        return int(get_broker().queue_size())
    except RedisError:
        return None


def waiting() -> Iterator[dict[str, Any]]:
    """Yield the tasks that no worker has taken yet."""
    for package in _in_redis() if settings.BROKER_URL else _in_table():
        try:
            yield SignedPackage.loads(package)
        except BadSignature:  # it was signed with another key, and will not be run
            continue


def _in_table() -> Iterator[Any]:
    yield from OrmQ.objects.filter(lock__lte=timezone.now()).values_list("payload", flat=True)


def _in_redis() -> Iterator[Any]:
    broker = get_broker()
    yield from broker.connection.lrange(broker.list_key, 0, -1)
