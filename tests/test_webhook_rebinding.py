"""Names are resolved once, all their addresses are checked, and the connection goes to one of these.

Each case runs in a world of its own, with the real resolver: a network of nothing but a loopback device,
which has a public address too, and its own ``/etc/hosts`` and name server. It takes root to make one.
"""

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.processes import can_mount
from tests.stack import PROJECT

pytestmark = pytest.mark.skipif(
    not (shutil.which("ip") and can_mount("--net", "--propagation", "private")),
    reason="it takes ip, and the right to make a network and mounts",
)

LOOPBACK, LOOPBACK_6 = "127.0.0.1", "::1"
PUBLIC, PUBLIC_6 = "93.184.216.34", "2606:2800:220:1::1"
PRIVATE = "Field 'webhooks' urls must not point to a private or reserved address: "


def deliver(tmp_path: Path, *hosts: list[str], answers: list[str] | None = None) -> list[Any]:
    """Deliver in such a world, once to a name for each of ``hosts``, which are its addresses; what came
    of it, and who was connected to."""
    names = [f"hook{number}.example.com" for number in range(len(hosts))]
    lines = [f"{each} {name}\n" for name, own in zip(names, hosts, strict=True) for each in own]
    (tmp_path / "hosts").write_text("".join(lines))
    (tmp_path / "resolv.conf").write_text("nameserver 127.0.0.1\noptions timeout:2 attempts:2\n")
    (tmp_path / "nsswitch.conf").write_text("hosts: files dns\n")
    binds = " && ".join(
        f"mount --bind {tmp_path / name} /etc/{name}" for name in ("hosts", "resolv.conf", "nsswitch.conf")
    )
    script = (
        f"{binds} && ip link set lo up && ip address add {PUBLIC}/32 dev lo && "
        f"ip address add {PUBLIC_6}/128 dev lo nodad && "
        f"exec {sys.executable} -m tests.rebinding_child"
    )
    done = subprocess.run(
        ["unshare", "--mount", "--net", "--propagation", "private", "sh", "-c", script],
        cwd=PROJECT,
        input=json.dumps(
            {"names": names, "addresses": [PUBLIC, PUBLIC_6, LOOPBACK, LOOPBACK_6], "answers": answers or []}
        ),
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return list(json.loads(done.stdout))


def test_public_addresses_of_a_name_are_delivered_to(tmp_path: Path) -> None:
    """So what is refused below is refused for its address, and for nothing else."""
    four, six = deliver(tmp_path, [PUBLIC], [PUBLIC_6])
    assert (four["code"], four["error"], four["connections"]) == (204, None, [PUBLIC])
    assert (six["code"], six["error"], six["connections"]) == (204, None, [PUBLIC_6])
    assert four["host"] == "hook0.example.com:8443"


def test_name_of_a_private_address_is_refused(tmp_path: Path) -> None:
    private = [
        *("127.0.0.1", "127.8.8.8", "0.0.0.0", "10.0.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1"),
        *("::1", "::", "fd00::1", "fe80::1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "64:ff9b::7f00:1"),
    ]
    for result in deliver(tmp_path, *([address] for address in private)):
        assert result["code"] is None
        assert result["error"].startswith(PRIVATE)
        assert result["connections"] == []


def test_one_private_address_among_public_ones_is_enough_to_refuse(tmp_path: Path) -> None:
    private = ["127.0.0.1", "10.0.0.1", "::1"]
    first = [[each, PUBLIC, PUBLIC_6] for each in private]
    last = [[PUBLIC, PUBLIC_6, each] for each in private]
    result = deliver(tmp_path, *first, *last)
    assert [each["error"] for each in result] == [f"{PRIVATE}{each}" for each in private * 2]
    assert not any(each["connections"] for each in result)


def test_name_that_changes_to_a_private_address_is_asked_for_once_and_connected_as_it_was(
    tmp_path: Path,
) -> None:
    [result] = deliver(tmp_path, [], answers=[PUBLIC, LOOPBACK])
    assert (result["code"], result["error"], result["connections"]) == (204, None, [PUBLIC])
    assert result["asked"] == 1
    assert result["later"] == [LOOPBACK]  # a second lookup would have led there


def test_name_that_changes_from_a_private_address_is_refused(tmp_path: Path) -> None:
    [result] = deliver(tmp_path, [], answers=[LOOPBACK, PUBLIC])
    assert (result["error"], result["asked"]) == (f"{PRIVATE}{LOOPBACK}", 1)
    assert result["connections"] == []
