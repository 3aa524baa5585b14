"""Simulated hosts: an HTTP server that speaks the few routes of a daemon that roll-outs use.

It runs no programs. What it can do that a real daemon can't on demand: lose answers after the work is done,
drop requests before it, be away, be of an older version, be restarted in the middle.
"""

import contextlib
import itertools
import json
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

from fleet.models import Host


class SimulatedHost(ThreadingHTTPServer):
    """A host with programs by name, and a list of what was done there."""

    daemon_threads = True

    def __init__(self, name: str, *, has_keys: bool = True, seconds: float = 0) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.name = name
        self.has_keys = has_keys
        self.seconds = seconds  # that a change takes
        self.programs: dict[str, dict[str, Any]] = {}
        self.done: list[str] = []  # each change that was made, such as "apply" or "restart"
        self.asked_for: list[str] = []  # the person of each request
        self.kept: dict[str, dict[str, Any]] = {}  # by key
        self.is_no_daemon = False
        self.not_ready = ""  # the name of a program that does not become ready
        # What happens to the next requests that would change something, one word each: "drop" (before the
        # work), "lose" (the answer), "busy" (503), "die" (after the work).
        self.trouble: list[str] = []
        self.lock = threading.Lock()
        self.ids = itertools.count(1)
        threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def add(self, name: str, **fields: Any) -> None:
        status = {"status": "running", "pid": 1}
        self.programs[name] = {
            "id": next(self.ids), "name": name, "command": "true", "user": "root", "enabled": True,
            "status": status, **fields,
        }  # fmt: skip

    def revision(self) -> str:
        return json.dumps(
            [{k: v for k, v in each.items() if k != "status"} for each in self.programs.values()]
        )

    def change(self, route: str, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        """Do what a route does; return the status and the answer."""
        if route == "programs/apply":
            return self._apply(body)
        if route.startswith("programs/edit/"):
            program = next(each for each in self.programs.values() if route.endswith(f"/{each['id']}"))
            program.pop("set", None)
            self.done.append("edit")
            return 200, {"success": True}
        ids = body["select"].get("ids")
        chosen = [each for each in self.programs.values() if ids is None or each["id"] in ids]
        self.done.append(body["action"])
        for program in chosen if body["action"] == "remove" else ():
            del self.programs[program["name"]]
        results = [
            {"id": each["id"], "name": each["name"], "result": "done"}
            if each["name"] != self.not_ready or body["action"] == "remove"
            else {"id": each["id"], "name": each["name"], "result": "failed", "error": "It is fatal"}
            for each in chosen
        ]
        return 200, {"success": True, "results": results}

    def _apply(self, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        plan = []
        named = {each["name"] for each in body["programs"]}
        of_set = [name for name, each in self.programs.items() if each.get("set") == body.get("set", "")]
        removed = [name for name in of_set if body.get("prune") and name not in named]
        for wanted in body["programs"]:
            present = self.programs.get(wanted["name"])
            whole = {**wanted, **({"set": body["set"]} if body.get("set") else {})}
            is_same = present is not None and all(present.get(k) == v for k, v in whole.items())
            action = "create" if present is None else "unchanged" if is_same else "change"
            plan.append({"name": wanted["name"], "id": present and present["id"], "action": action})
            if not body.get("dry_run") and action != "unchanged":
                self.add(**{**({"id": present["id"]} if present else {}), **whole})
                plan[-1]["id"] = self.programs[wanted["name"]]["id"]
        plan += [{"name": name, "id": self.programs[name]["id"], "action": "remove"} for name in removed]
        if not body.get("dry_run"):
            for name in removed:
                del self.programs[name]
            if any(step["action"] != "unchanged" for step in plan):
                self.done.append("apply")
            if self.not_ready in named:
                reason = {"name": self.not_ready, "reason": "is fatal"}
                sentence = f"Program '{self.not_ready}' is fatal"
                return 400, {"success": False, "error": sentence, "code": "refused", "not_ready": [reason]}
        return 200, {"success": True, "plan": plan, "revision": self.revision(), "dry_run": False}


class _Handler(BaseHTTPRequestHandler):
    server: SimulatedHost

    def do_GET(self) -> None:
        parts = urlsplit(self.path).path.removeprefix("/api/v1/daemon/").split("/")
        if self.server.is_no_daemon:
            self._answer(200, {"it": "works"})
        elif parts[0] == "programs":
            self._answer(200, {"programs": list(self.server.programs.values())})
        elif parts[0] == "requests" and self.server.has_keys:
            kept = self.server.kept.get(parts[1], {"state": "unknown"})
            self._answer(200, {"success": True, "key": parts[1], **kept})
        else:
            self._answer(404, {"success": False, "error": "There is nothing at this address"})

    def do_POST(self) -> None:
        host = self.server
        route = urlsplit(self.path).path.removeprefix("/api/v1/daemon/")
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        key = self.headers.get("Idempotency-Key") if host.has_keys else None
        is_question = body.get("dry_run")
        with host.lock:
            host.asked_for.append(self.headers["On-Behalf-Of"])
            trouble = host.trouble.pop(0) if host.trouble and not is_question else ""
            if trouble == "drop":
                return
            if trouble == "busy":
                self._answer(503, {"success": False, "error": "Too busy", "code": "busy"})
                return
            time.sleep(0 if is_question else host.seconds)
            kept = host.kept.get(key or "")
            code, answer = (kept["code"], kept["answer"]) if kept else host.change(route, body)
            if key and trouble == "die":
                host.kept[key] = {"state": "interrupted"}
            elif key:
                host.kept[key] = {"state": "answered", "code": code, "answer": answer}
        if trouble not in ("lose", "die"):
            self._answer(code, answer)

    def _answer(self, code: int, document: dict[str, Any]) -> None:
        content = json.dumps(document).encode()
        self.send_response(code)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *arguments: Any) -> None: ...


@contextlib.contextmanager
def simulated_hosts(count: int, **options: Any) -> Iterator[list[SimulatedHost]]:
    """So many hosts, ``web-1`` and on, which the hub knows. They end with the block."""
    hosts = [SimulatedHost(f"web-{number + 1}", **options) for number in range(count)]
    for host in hosts:
        row = Host(name=host.name, url=host.url, labels={"number": host.name[4:]})
        row.token = "hdt_simulated"
        row.save()
    try:
        yield hosts
    finally:
        for host in hosts:
            host.shutdown()
            host.server_close()
