"""What supervisord tells of its processes: for people, with the names of programs.

`supervisorctl` and other tools of supervisord see groups that are named by id, since names are free text.
"""

from typing import Any

from supervisor.rpcinterface import SupervisorNamespaceRPCInterface


class NamingInterface(SupervisorNamespaceRPCInterface):
    """The main interface of supervisord, whose descriptions of processes begin with the program's name."""

    def getProcessInfo(self, name: str) -> dict[str, Any]:  # noqa: N802  (supervisord's name)
        """Return what supervisord tells of a process."""
        info: dict[str, Any] = super().getProcessInfo(name)
        config = self.supervisord.process_groups[info["group"]].config
        if program := getattr(config, "spec", {}).get("name"):
            # XML can't carry every character, and a terminal would execute some.
            shown = "".join(each if each.isprintable() else ascii(each)[1:-1] for each in program)
            info["description"] = f"{shown}: {info['description']}".rstrip(": ")
        return info


def make_interface(supervisord: Any, **settings: str) -> NamingInterface:
    """Return the interface; supervisord calls this."""
    return NamingInterface(supervisord)
