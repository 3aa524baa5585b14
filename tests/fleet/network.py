"""A network of machines on one host: each has a network namespace, and a cable to one switch.

The tests' own processes have a cable as well. It takes root.
"""

import contextlib
import os
import secrets
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager


def is_possible() -> bool:
    """Return whether namespaces can be made here."""
    if os.geteuid() != 0 or shutil.which("ip") is None:
        return False
    try:
        with network() as made:
            subprocess.run([*made.machine().prefix, "true"], check=True, capture_output=True)
    except subprocess.CalledProcessError:
        return False
    return True


class Network:
    """The switch."""

    def __init__(self) -> None:
        self._name = f"t{secrets.token_hex(3)}"
        # Among those for private use, where no other network is likely.
        self._subnet = f"10.{200 + secrets.randbelow(50)}.{secrets.randbelow(256)}"
        self._machines: list[Machine] = []
        self.switch = f"{self._name}-s"

    def plug_in(self) -> None:
        """Make the switch, and the cable of the tests."""
        _ip("netns", "add", self.switch)
        self.on_switch("link", "add", "br0", "type", "bridge")
        self.on_switch("link", "set", "br0", "up")
        self._plug_in(f"{self._name}r", None, 1)

    def machine(self) -> "Machine":
        """Return a new machine."""
        number = len(self._machines) + 2
        machine = Machine(self, f"{self._name}-{number}", f"{self._subnet}.{number}")
        _ip("netns", "add", machine.namespace)
        self._machines.append(machine)
        _ip("-n", machine.namespace, "link", "set", "lo", "up")
        self._plug_in("eth0", machine.namespace, number)
        return machine

    def remove(self) -> None:
        for namespace in (*(machine.namespace for machine in self._machines), self.switch):
            with contextlib.suppress(subprocess.CalledProcessError):  # it was not made
                _ip("netns", "del", namespace)  # which takes its cables along

    def on_switch(self, *arguments: str) -> None:
        _ip("-n", self.switch, *arguments)

    def _plug_in(self, cable: str, namespace: str | None, number: int) -> None:
        there = ["-n", namespace] if namespace else []
        port = f"p{number}"
        _ip(*there, "link", "add", cable, "type", "veth", "peer", "name", port, "netns", self.switch)
        _ip(*there, "address", "add", f"{self._subnet}.{number}/24", "dev", cable)
        _ip(*there, "link", "set", cable, "up")
        self.on_switch("link", "set", port, "master", "br0", "up")


class Machine:
    """A machine: what is started with its ``prefix`` runs there."""

    def __init__(self, network: Network, namespace: str, address: str) -> None:
        self._network = network
        self._port = f"p{address.rpartition('.')[2]}"
        self.namespace = namespace
        self.address = address
        self.prefix = ["ip", "netns", "exec", namespace]

    def unplug(self) -> None:
        self._network.on_switch("link", "set", self._port, "down")

    def plug_in(self) -> None:
        self._network.on_switch("link", "set", self._port, "up")

    def lose_packets_to(self, other: "Machine") -> None:
        """Have what is sent to another machine vanish, without a word; what that one sends arrives."""
        # They go to a network card that no machine has.
        neighbour = ("lladdr", "02:00:00:00:00:01", "nud", "permanent")
        _ip("-n", self.namespace, "neigh", "replace", other.address, *neighbour, "dev", "eth0")

    def reach(self, other: "Machine") -> None:
        """Have what is sent to another machine arrive again."""
        with contextlib.suppress(subprocess.CalledProcessError):  # none was lost
            _ip("-n", self.namespace, "neigh", "del", other.address, "dev", "eth0")


@contextmanager
def network() -> Iterator[Network]:
    made = Network()
    try:
        made.plug_in()
        yield made
    finally:
        made.remove()


def _ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True, capture_output=True)
