"""The files of `deploy/`: proxies with TLS before a stack that has no more than the unit leaves it."""

import os
import re
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest
import requests
import trustme
from requests.adapters import HTTPAdapter

from hoody_site.server import gunicorn_conf
from hoody_site.settings import BODY_MAX_BYTES
from tests.admin_client import PASSWORD, create_users
from tests.processes import LONG_RUNNING, is_alive, started
from tests.stack import OTHER_USER, PROJECT, Stack, eventually, free_port, temporary_stack

HOST = "daemon.example.com"
LONGEST_WAIT = 300  # seconds, of a request with `wait`
PROXIES = ["nginx", "caddy"]


def read(name: str) -> str:
    return (PROJECT / "deploy" / name).read_text()


def dropped() -> set[str]:
    """The capabilities that the unit takes away."""
    lines = re.findall(r"^CapabilityBoundingSet=~(.*)$", read("hoody-daemon.service"), re.MULTILINE)
    return {name for line in lines for name in line.split()}


@pytest.fixture(scope="module")
def deployed() -> Iterator[Stack]:
    """A stack with the settings and, as root, with the capabilities of its deployment."""
    with temporary_stack(DAEMON_HTTPS="true", DAEMON_ALLOWED_HOSTS=HOST) as stack:
        if os.geteuid() == 0:
            names = ",".join(f"-{name.removeprefix('CAP_').lower()}" for name in sorted(dropped()))
            stack.prefix = ["setpriv", "--bounding-set", names]
        create_users(stack.start(), iterations=1)
        yield stack


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


class Proxied(HTTPAdapter):
    """Connects to a port of this host, whatever the name."""

    def __init__(self, port: int) -> None:
        super().__init__()
        self._port = port

    def add_headers(self, request, **options):  # type: ignore[no-untyped-def]
        request.headers["Host"] = HOST

    def get_connection_with_tls_context(self, request, verify, proxies=None, cert=None):  # type: ignore[no-untyped-def]
        _, options = self.build_connection_pool_key_attributes(request, verify, cert)
        options.update(server_hostname=HOST, assert_hostname=HOST)
        return self.poolmanager.connection_from_host("127.0.0.1", self._port, "https", pool_kwargs=options)


@contextmanager
def running(command: list[str], port: int, folder: Path) -> Iterator[None]:
    with (folder / "output").open("w") as output:
        own = dict.fromkeys(("HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME"), str(folder))
        process = subprocess.Popen(command, stdout=output, stderr=output, env={**os.environ, **own})
    try:
        eventually(lambda: process.poll() is not None or _answers(port), what="the proxy listens")
        assert process.poll() is None, (folder / "output").read_text()
        yield
    finally:
        process.terminate()
        process.wait(10)


def _answers(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def nginx(stack: Stack, folder: Path, port: int, plain: int) -> list[str]:
    """The file of `deploy/`, with other ports and paths, in nginx's main configuration."""
    server = read("nginx.conf").replace("127.0.0.1:8000", f"127.0.0.1:{stack.port}")
    server = re.sub(r"listen (\[::\]:)?443", lambda at: f"listen {at[1] or ''}{port}", server)
    server = re.sub(r"listen (\[::\]:)?80;", lambda at: f"listen {at[1] or ''}{plain};", server)
    server = server.replace(f"/etc/ssl/{HOST}", str(folder))
    kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    temporary = " ".join(f"{kind}_temp_path {folder}/{kind};" for kind in kinds)
    user = "user root;" if os.geteuid() == 0 else ""  # the owner of these folders
    main = f"{user} pid {folder}/pid; error_log stderr; daemon off; events {{}}"
    (folder / "nginx.conf").write_text(f"{main} http {{ access_log off; {temporary}\n{server}\n}}\n")
    return ["nginx", "-c", str(folder / "nginx.conf"), "-e", "stderr"]


def caddy(stack: Stack, folder: Path, port: int, plain: int) -> list[str]:
    """The file of `deploy/`, with other ports and a certificate that is there."""
    site = read("Caddyfile").replace("127.0.0.1:8000", f"127.0.0.1:{stack.port}")
    tls = f"\ttls {folder}/fullchain.pem {folder}/key.pem\n"
    site = site.replace(f"{HOST} {{\n", f"{HOST} {{\n{tls}")
    ports = f"http_port {plain}\n\thttps_port {port}"
    (folder / "Caddyfile").write_text(f"{{\n\tadmin off\n\t{ports}\n}}\n{site}")
    return ["caddy", "run", "--config", str(folder / "Caddyfile"), "--adapter", "caddyfile"]


@pytest.fixture(scope="module", params=PROXIES)
def session(
    request: pytest.FixtureRequest,
    deployed: Stack,
    authority: trustme.CA,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[requests.Session]:
    """A client of the proxy, which trusts its certificate."""
    if not shutil.which(request.param):
        pytest.skip(f"{request.param} is not installed")
    folder = tmp_path_factory.mktemp(request.param)
    certificate = authority.issue_cert(HOST)
    (folder / "fullchain.pem").write_bytes(b"".join(blob.bytes() for blob in certificate.cert_chain_pems))
    (folder / "key.pem").write_bytes(certificate.private_key_pem.bytes())
    authority.cert_pem.write_to_path(folder / "authority.pem")
    port, plain = free_port(), free_port()
    command = {"nginx": nginx, "caddy": caddy}[request.param](deployed, folder, port, plain)
    with running(command, port, folder), requests.Session() as client:
        client.trust_env = False
        client.verify = str(folder / "authority.pem")
        client.mount(f"https://{HOST}", Proxied(port))
        client.plain = plain  # type: ignore[attr-defined]
        yield client


def api(route: str) -> str:
    return f"https://{HOST}/api/v1/daemon/{route}"


def token(stack: Stack) -> dict[str, str]:
    return {"Authorization": f"Bearer {stack.token}"}


def test_proxy_forwards_https_and_redirects_plain_http(session: requests.Session) -> None:
    ready = session.get(api("health"), timeout=10)
    assert ready.ok, ready.text
    assert ready.headers["Strict-Transport-Security"]  # the daemon has learned that it is HTTPS
    address = f"http://127.0.0.1:{session.plain}/x?y"  # type: ignore[attr-defined]
    moved = session.get(address, headers={"Host": HOST}, allow_redirects=False, timeout=10)
    assert moved.status_code in (301, 308)
    assert moved.headers["Location"] == f"https://{HOST}/x?y"


def test_people_can_log_in_behind_the_proxy(session: requests.Session) -> None:
    """With secure cookies, and with no other settings than HTTPS and the name."""
    page = f"https://{HOST}/admin/login/?next=/admin/"
    session.get(page, timeout=10)
    csrf = next(cookie for cookie in session.cookies if "csrf" in cookie.name)
    assert csrf.secure
    form = {"username": "boss", "password": PASSWORD, "csrfmiddlewaretoken": csrf.value, "next": "/admin/"}
    headers = {"Referer": page, "Origin": f"https://{HOST}"}
    entered = session.post(page, data=form, headers=headers, timeout=30)
    assert entered.url == f"https://{HOST}/admin/"
    assert entered.ok


def test_stream_comes_through_as_it_is_written(session: requests.Session, deployed: Stack) -> None:
    stream = session.get(api("events/stream"), headers=token(deployed), stream=True, timeout=10)
    with stream:
        assert stream.headers["Content-Type"].startswith("text/event-stream")
        id = deployed.api.add(LONG_RUNNING)
        started(deployed.api, id)
        lines = (line for line in stream.iter_lines(chunk_size=1) if line.startswith(b"data:"))
        assert f'"program_id": {id},'.encode() in next(lines)
    deployed.api.ok(f"programs/remove/{id}")


def test_body_that_is_too_large_gets_the_sentence_of_the_api(
    session: requests.Session, deployed: Stack
) -> None:
    large = b'{"name": "' + b"x" * (BODY_MAX_BYTES + 1) + b'"}'
    headers = {**token(deployed), "Content-Type": "application/json"}
    refused = session.post(api("programs/add"), data=large, headers=headers, timeout=30)
    assert (refused.status_code, refused.json()["success"]) == (413, False)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has capabilities to take away")
def test_programs_run_without_what_the_unit_takes_away(deployed: Stack) -> None:
    """As other users, with a higher priority, and with orphans that end with their program."""
    api = deployed.api
    script = "sh -c '(setsid sleep 1001 &); exec sleep 1002'"
    id = api.add(script, user=OTHER_USER, directory="/", nice=-5)
    process = psutil.Process(started(api, id))
    assert (process.username(), process.nice()) == (OTHER_USER, -5)
    [orphan] = eventually(lambda: [each for each in deployed.processes() if "1001" in each.cmdline()])
    bounding = re.search(r"CapBnd:\s(\w+)", Path(f"/proc/{process.pid}/status").read_text())
    assert bounding is not None
    assert not int(bounding[1], 16) >> 21 & 1  # CAP_SYS_ADMIN
    api.ok(f"programs/{id}/stop")
    assert not is_alive(orphan)


# What is too slow to be tried


@pytest.mark.parametrize("file", ["nginx.conf", "Caddyfile"])
def test_proxies_wait_longer_than_any_request_takes(file: str) -> None:
    [seconds] = re.findall(r"(?:proxy_read_timeout|response_header_timeout) (\d+)s", read(file))
    assert int(seconds) > LONGEST_WAIT


@pytest.mark.parametrize("file", ["nginx.conf", "Caddyfile"])
def test_proxies_close_idle_connections_before_the_daemon_does(file: str) -> None:
    [seconds] = re.findall(r"(?:keepalive_timeout|keepalive) (\d+)s", read(file))
    assert int(seconds) < gunicorn_conf.keepalive


def test_unit_stops_supervisord_first_and_gives_it_time() -> None:
    unit = read("hoody-daemon.service")
    assert "\nKillMode=mixed\n" in unit
    [seconds] = re.findall(r"^TimeoutStopSec=(\d+)$", unit, re.MULTILINE)
    assert int(seconds) >= 10 + 80  # the grace period of programs, and the stack's own


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="systemd is not installed")
def test_unit_is_valid(tmp_path: Path) -> None:
    file = tmp_path / "hoody-daemon.service"
    file.write_text(read(file.name).replace("/opt/hoody-daemon/bin/hoody-daemon", "/bin/true"))
    command = ["systemd-analyze", "verify", "--man=no", file]
    verified = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert (verified.returncode, verified.stderr) == (0, "")


def test_container_runs_the_daemon_as_process_1() -> None:
    """The form with brackets has no shell between."""
    assert 'ENTRYPOINT ["hoody-daemon"]\nCMD ["run"]\n' in read("Containerfile")


def test_each_line_of_the_unit_is_explained() -> None:
    table = (PROJECT / "docs" / "deploy.md").read_text()
    set_in_unit = set(re.findall(r"^([A-Z][A-Za-z]+)=", read("hoody-daemon.service"), re.MULTILINE))
    explained = {name for row in re.findall(r"^\| (`.*?) \|", table, re.MULTILINE)
                 for name in re.findall(r"`([A-Z][A-Za-z]+)=", row)}  # fmt: skip
    assert explained == set_in_unit - {"Description"}
