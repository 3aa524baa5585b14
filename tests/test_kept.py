"""What is derived from all programs is kept until a row changes."""

import pytest

from daemon_programs.maintenance.kept import Kept
from daemon_programs.models import Program


@pytest.mark.django_db
def test_value_is_derived_again_after_a_change_that_sends_no_signal() -> None:
    Program.objects.bulk_create([Program(name=name, command="true", user="root") for name in ("a", "b")])
    derived: list[list[str]] = []

    def names() -> list[str]:
        derived.append(list(Program.objects.order_by("id").values_list("name", flat=True)))
        return derived[-1]

    kept = Kept(names)
    assert kept() == kept() == ["a", "b"]
    assert len(derived) == 1
    Program.objects.filter(name="b").update(labels={"team": "web"})
    assert kept() == ["a", "b"]
    assert len(derived) == 2, "any column counts"
    Program.objects.filter(name="a").update(name="c")
    assert kept() == kept() == ["c", "b"]
    assert len(derived) == 3
