"""The page of one program at the admin: what runs of it, the ends of its logs, and buttons."""

import re
from pathlib import Path

from tests.admin_client import PROGRAMS, AdminClient, live_of, messages_of
from tests.stack import Api, eventually, free_port

TAKES_PORT = "sh -c 'exec sleep 1000'"  # and whatever is appended


def test_page_shows_state_pid_uptime_and_the_ends_of_the_logs_escaped(api: Api, boss: AdminClient) -> None:
    script = (
        "for i in $(seq 60); do echo line $i; done; echo '<script>alert(1)</script>' >&2; exec sleep 1000"
    )
    id = api.add(f'sh -c "{script}"', boot=True)
    pid = api.until(id, "running")["status"]["pid"]
    eventually(lambda: "alert" in api.logs(id, type="stderr"), what="the log is written")
    page = boss.page(f"{PROGRAMS}{id}/change/")
    assert re.search(rf"running for 0:00:\d\d pid {pid}", live_of(page))
    assert "line 11 line 12" in live_of(page)
    assert "line 10 " not in live_of(page)  # fifty lines
    assert "<script>alert(1)</script>" in live_of(page)
    assert "<script>alert" not in page


def test_page_shows_how_the_last_run_ended(api: Api, boss: AdminClient) -> None:
    id = api.add("sh -c 'kill -9 $$'", autorestart="false")
    said = messages_of(boss.press(id, "start"))
    assert re.fullmatch(rf"“{name_of(api, id)}” was ended by SIGKILL after [\d.]+ m?s\.", said[0])
    shown = live_of(boss.page(f"{PROGRAMS}{id}/change/"))
    assert re.search(r"Its last run was ended by SIGKILL after [\d.]+ m?s, .* ago", shown)


def test_page_of_a_port_range_shows_each_instance_and_the_log_of_the_chosen_one(
    api: Api, boss: AdminClient
) -> None:
    id = api.add("sh -c 'echo I am $PORT; exec sleep 1000'", port_range={"start": 21300, "end": 21309})
    for port in ("21303", "21307"):
        said = messages_of(boss.press(id, "start", port))
        assert said == [f"“{name_of(api, id)}”, port {port}: started."]
    path = f"{PROGRAMS}{id}/change/"
    shown = live_of(boss.page(path))
    assert "running 2 of 10" in shown
    assert re.search(r"21303 running \d+ 0:00:\d\d .*21307 running \d+ 0:00:\d\d", shown)
    assert "I am 21303" in shown
    chosen = live_of(boss.page(path, port=21307))
    assert "I am 21307" in chosen
    assert "I am 21303" not in chosen
    for odd in ("99999", "x", "-1", "9" * 40):
        assert "I am 21303" in live_of(boss.page(path, port=odd))


def test_buttons_of_a_port_range_mean_one_instance_or_all(api: Api, boss: AdminClient) -> None:
    id = api.add(TAKES_PORT, port_range={"start": 21400, "end": 21402})
    boss.press(id, "start")
    assert api.get(f"status/{id}").json()["running_count"] == 3
    boss.press(id, "stop", "21401")
    ports = [each["port"] for each in api.get(f"status/{id}").json()["instances"]]
    assert ports == [21400, 21402]
    name = name_of(api, id)
    assert messages_of(boss.press(id, "start", "99")) == [
        f"“{name}”: Port 99 is outside valid range [21400-21402]"
    ]
    assert messages_of(boss.press(id, "start", "")) == [
        f"“{name}”: Port parameter required for port-range programs. Available range: 21400-21402"
    ]
    assert messages_of(boss.press(id, "stop", "x")) == [f"“{name}”: The port must be a number"]


def test_buttons_start_restart_and_stop(api: Api, boss: AdminClient) -> None:
    id = api.add(name="pressed")
    assert messages_of(boss.press(id, "start")) == ["“pressed”: started."]
    pid = api.pid(id)
    assert messages_of(boss.press(id, "restart")) == ["“pressed”: restarted."]
    assert api.word(id) == "running"
    assert api.pid(id) != pid
    assert messages_of(boss.press(id, "stop")) == ["“pressed”: stopped."]
    assert api.word(id) == "stopped"


def test_buttons_need_a_post_with_the_csrf_token(api: Api, boss: AdminClient) -> None:
    id = api.add()
    path = f"{PROGRAMS}{id}/operate/"
    assert boss.get(path, start="all").status_code == 405
    assert boss.post(path, {"start": "all", "csrfmiddlewaretoken": "x" * 64}).status_code == 403
    assert boss.post(path, {"explode": "all"}).status_code == 400
    assert boss.post(f"{PROGRAMS}999999/operate/", {"start": "all"}).status_code == 400
    assert api.word(id) == "stopped"


def test_page_shows_how_to_attach_to_a_tmux_session(api: Api, boss: AdminClient) -> None:
    id = api.add("sleep 1000", terminal_id=2140, terminal_shell="tmux")
    assert re.search(r"Terminal: tmux -S \S+ attach -t \S+", live_of(boss.page(f"{PROGRAMS}{id}/change/")))


def test_page_shows_whether_the_program_serves(api: Api, boss: AdminClient) -> None:
    port = free_port()
    id = api.add(f"python3 -m http.server {port} --bind 127.0.0.1", ready_port=port)
    path = f"{PROGRAMS}{id}/change/"
    assert f"not ready on port {port}" in live_of(boss.page(path))
    boss.press(id, "start")
    eventually(
        lambda: re.search(rf"(?<!not )ready on port {port}", live_of(boss.page(path))), what="it serves"
    )


def test_page_shows_what_probes_have_found_and_what_is_awaited(api: Api, boss: AdminClient) -> None:
    probe = {"command": "sh -c 'exit 7'"}
    ids = [
        api.add(name="<i>", ready=probe, health={"command": "true"}, boot=True),
        api.add(depends_on=[{"program": "<i>", "condition": "ready"}], boot=True),
        api.add(TAKES_PORT, port_range={"start": 64030, "end": 64030}, ready=probe, boot=True),
    ]

    def shows(id: int, text: str) -> None:
        eventually(lambda: text in live_of(boss.page(f"{PROGRAMS}{id}/change/")), what=text)

    shows(ids[0], "not ready: its command ended with exit code 7 healthy")
    shows(ids[1], "waits until <i> is ready (running)")
    shows(ids[2], "not ready: its command ended with exit code 7")


def test_page_shows_logs_without_what_is_meant_for_terminals(api: Api, boss: AdminClient) -> None:
    script = r"printf \\033[1;31mred\\033[0m\\033]0;title\\007\\033(Bplain"
    id = api.add(script)
    boss.press(id, "start")
    eventually(lambda: "plain" in api.logs(id))
    page = boss.page(f"{PROGRAMS}{id}/change/")
    assert "redplain" in live_of(page)
    assert "\x1b" not in page


def test_page_of_a_log_that_cannot_be_read_says_so(api: Api, boss: AdminClient, tmp_path: Path) -> None:
    file = tmp_path / "out.log"
    id = api.add(stdout_logfile=str(file))
    file.symlink_to(file)  # a loop of links: not even root can read it
    assert "have made" in live_of(boss.page(f"{PROGRAMS}{id}/change/"))


def name_of(api: Api, id: int) -> str:
    return str(api.get(f"programs/{id}").json()["program"]["name"])
