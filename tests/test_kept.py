"""What is derived from all programs is kept until a row changes."""

from pathlib import Path
from typing import Any

import pytest

from daemon_programs.maintenance import mirror
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


@pytest.mark.django_db
def test_value_is_derived_again_after_a_change_that_python_hashes_alike() -> None:
    Program.objects.bulk_create([Program(name="a", command="true", user="root", nice=-1)])
    kept = Kept(lambda: Program.objects.get().nice)
    assert kept() == -1
    Program.objects.update(nice=-2)
    assert kept() == -2


@pytest.mark.django_db
def test_mirror_follows_links(tmp_path: Path, settings: Any) -> None:
    settings.KIT_ROOT = str(tmp_path / "kits")
    (tmp_path / "kits" / "one").mkdir(parents=True)
    link = tmp_path / "current"
    link.symlink_to(tmp_path)
    Program.objects.bulk_create([Program(name="a", command="true", user="root", directory=str(link))])
    assert '"hoody_kit": false' in mirror.programs._make_text()
    link.unlink()
    link.symlink_to(tmp_path / "kits" / "one")
    assert '"hoody_kit": true' in mirror.programs._make_text()
