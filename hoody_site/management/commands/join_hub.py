"""``manage.py join_hub``: add this host to a hub, with a one-time code of the hub."""

import sys
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from django.core.exceptions import ValidationError
from django.core.management.base import CommandError, CommandParser

from daemon_programs.exceptions import Refused
from daemon_programs.management.base import DaemonCommand
from fleet import joining
from fleet.exceptions import NoConnection
from fleet.validators import check_ca, check_url
from hoody_site.access import hubs


class Command(DaemonCommand):
    """Join a hub."""

    help = (
        "Add this host to a hub: make a token for it, of the user `hub`, and send it there with a one-time "
        "code. The code is read from a file or from standard input: of a command line it could be seen."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        """Add the hub, how it reaches this host, and where the code is."""
        parser.add_argument("--hub", required=True, metavar="URL", help="The hub.")
        parser.add_argument(
            "--hub-ca", type=Path, metavar="FILE", help="The certificates that the hub's leads to."
        )
        parser.add_argument("--url", required=True, help="Where the hub reaches this host.")
        parser.add_argument(
            "--ca", type=Path, metavar="FILE", help="The certificates that this host's leads to."
        )
        parser.add_argument("--name", help="The name of this host, if the code is for any.")
        code = parser.add_mutually_exclusive_group(required=True)
        code.add_argument("--code-file", type=Path, metavar="FILE", help="The file with the code.")
        code.add_argument("--code-stdin", action="store_true", help="Read the code from standard input.")
        parser.add_argument("--no-check", action="store_true", help="Don't have the hub ask this host first.")

    def run(self, options: dict[str, Any]) -> str:
        """Join, and say as what. The token that the hub had until now is revoked once it has the new one."""
        hub, url = options["hub"].rstrip("/"), options["url"]
        _require(check_url, hub, "--hub")
        _require(check_url, url, "--url")
        code = (
            sys.stdin.readline()
            if options["code_stdin"]
            else options["code_file"].read_text(errors="replace")
        ).strip()
        body = {
            "code": code,
            "name": options["name"],
            "url": url,
            "ca": _certificates(options["ca"], "--ca"),
            "check": not options["no_check"],
        }
        hub_ca = _certificates(options["hub_ca"], "--hub-ca")
        token = hubs.issue(f"hub {urlsplit(hub).netloc}"[:100])
        try:
            name = joining.introduce(hub, {**body, "token": token}, ca=hub_ca)
        except (Refused, NoConnection):
            hubs.revoke(token)
            raise
        hubs.keep_only(token)
        return f"This host is '{name}' at {hub} now. Its token there is that of the user '{hubs.USERNAME}'."


def _certificates(file: Path | None, option: str) -> str:
    text = file.read_text(errors="replace") if file else ""
    _require(check_ca, text, option)
    return text


def _require(check: Any, value: str, option: str) -> None:
    try:
        check(value)
    except ValidationError as problem:
        _, _, rest = problem.messages[0].partition("' ")
        raise CommandError(f"{option} {rest}") from None
