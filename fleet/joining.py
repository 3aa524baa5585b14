"""The host's side of an invitation: introduces this daemon to a hub."""

from typing import Any

from daemon_programs.exceptions import Refused
from fleet.exceptions import HostUnreachable, NoConnection
from fleet.models import Host


def introduce(hub: str, body: dict[str, Any], *, ca: str = "") -> str:
    """Send a code, and what it takes to use this host, to a hub; return the name that it has given the host.

    Raise Refused, with the hub's sentence, or NoConnection: then the hub knows nothing. Raise HostUnreachable
    if it is not known whether the hub has taken it.
    """
    from fleet import client  # which loads the library of requests

    try:
        answer = client.call(
            Host(name=hub, url=hub, ca=ca), "POST", "hosts/join", body=body, with_token=False
        )
    except NoConnection as problem:
        raise NoConnection(str(problem).replace("Host '", "The hub '", 1)) from problem
    except HostUnreachable as problem:
        sentence = str(problem).replace("Host '", "The hub '", 1)
        raise HostUnreachable(f"{sentence}. Look at the hub whether it has this host now") from problem
    if not answer.is_ok:
        raise Refused(f"The hub has refused: {answer.error}")
    if not isinstance(answer.document, dict) or "name" not in answer.document:
        raise Refused(f"What answers at {hub} is not a hub")
    return str(answer.document["name"])
