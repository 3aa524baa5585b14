"""The documentation says what is there, all of it, and nothing that isn't; its calls work as they stand."""

import importlib
import os
import re
import socket
import subprocess
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from django.apps import apps
from django.conf import settings
from django.contrib.auth import signals as auth_signals
from django.core.management import get_commands, load_command_class
from django.core.management.base import BaseCommand
from django.db.models import signals as model_signals
from django.dispatch import Signal
from django.urls import URLPattern, URLResolver, get_resolver

from daemon_programs.programs.verbs import VERBS
from daemon_programs.serializers.batch import BatchSerializer, SelectSerializer
from daemon_programs.serializers.program import ProgramSerializer
from daemon_programs.serializers.queries import ProgramFilterSerializer
from daemon_programs.serializers.verbs import RestartSerializer, StartSerializer
from quick_start.serializers import LaunchSerializer
from tests.stack import PROJECT, Stack, eventually, free_port

ABOUT = [PROJECT / name for name in ("README.md", "CHANGELOG.md", "CONTRIBUTING.md")]
PAGES = [*ABOUT, *sorted((PROJECT / "docs").glob("*.md"))]
APPS = [app.name for app in apps.get_app_configs() if Path(app.path).parent == PROJECT]
API = "api/v1/daemon/"


def read(name: str) -> str:
    return (PROJECT / name).read_text()


def everything() -> str:
    return "\n".join(page.read_text() for page in PAGES)


def section(page: str, heading: str) -> str:
    """What stands below a heading (or its beginning, up to a colon), until the next one of its level."""
    level = heading.partition(" ")[0]
    found = re.search(
        rf"^{re.escape(heading)}(?=[:\n]).*\n((?:(?!#{{1,{len(level)}}} ).*\n?)*)", page, re.MULTILINE
    )
    assert found, heading
    return found[1]


def rows(text: str) -> list[list[str]]:
    """The cells of all table rows, their heads and rules left out."""
    lines = text.splitlines()
    heads = {number - 1 for number, line in enumerate(lines) if re.fullmatch(r"[|-]+", line)}
    return [
        [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
        for number, line in enumerate(lines)
        if line.startswith("|") and number not in heads and not re.fullmatch(r"[|-]+", line)
    ]


def quoted(text: str) -> list[str]:
    """What stands in backticks."""
    return re.findall(r"`([^`]+)`", text)


def first_cells(text: str) -> set[str]:
    """What the first cells of tables have in backticks."""
    return {name for row in rows(text) for name in quoted(row[0])}


# Settings


def test_settings_table_lists_every_variable_and_no_other() -> None:
    named = {name for name in first_cells(read("docs/settings.md")) if name.startswith("DAEMON_")}
    assert named == set(settings.DOCUMENTED)


def test_every_variable_that_is_mentioned_exists() -> None:
    assert set(re.findall(r"DAEMON_[A-Z_]*[A-Z]", everything())) <= set(settings.DOCUMENTED)


def test_checks_table_lists_every_check_and_no_other() -> None:
    in_code = set(re.findall(r'"(hoody\.E\d+)"', read("hoody_site/checks.py")))
    assert first_cells(section(read("docs/settings.md"), "## What the start checks")) == in_code


# Commands


COMMAND = r"(?<!/)(?:manage\.py|hoody[-_]daemon) ([a-z_]+)"


def own_commands() -> set[str]:
    return {name for name, app in get_commands().items() if app in APPS}


def options_of(command: BaseCommand) -> set[str]:
    parser = command.create_parser("manage.py", "command")
    return {option for action in parser._actions for option in action.option_strings}


def code(text: str) -> str:
    """What is to be typed: the shell blocks, and what stands in backticks, a line each."""
    fenced = re.findall(r"```sh\n(.*?)```", text, re.DOTALL)
    return "\n".join([*fenced, *quoted(re.sub(r"```.*?```", "", text, flags=re.DOTALL))])


def told_together() -> list[str]:
    """Return the units of text: each line of a shell block, each paragraph."""
    prose = re.sub(r"```.*?```", "", everything(), flags=re.DOTALL)
    return [*code(everything()).splitlines(), *re.split(r"\n\n|\n(?=[|-])", prose)]


def documented_options(command: str) -> set[str]:
    """Return the options that are described where this is the first of our commands to be named."""
    names = "|".join(own_commands())
    found = set()
    for text in told_together():
        first = re.search(rf"\b({names})\b", text)
        if first and first[1] == command:
            found.update(re.findall(r"--[a-z][a-z-]+", text))
    return found


def test_every_command_that_is_mentioned_exists() -> None:
    mentioned = set(re.findall(COMMAND, code(everything())))
    assert mentioned - {"run"} <= set(get_commands())


def test_every_command_of_ours_is_documented() -> None:
    documented = set(re.findall(COMMAND, everything()))
    assert own_commands() - documented == set()


@pytest.mark.parametrize("name", sorted(own_commands()))
def test_options_of_commands_are_documented_and_exist(name: str) -> None:
    command = load_command_class(get_commands()[name], name)
    every_commands = options_of(BaseCommand())
    assert options_of(command) - every_commands == documented_options(name) - every_commands


def test_every_make_target_that_is_mentioned_exists() -> None:
    targets = set(re.findall(r"^([a-z$(][A-Za-z$()./-]*):", read("Makefile"), re.MULTILINE))
    targets = {target.replace("$(VENV)", ".venv") for target in targets}
    mentioned = set(re.findall(r"^(?:\S+=\S* )*make ([a-z./-]+)", code(everything()), re.MULTILINE))
    assert {"run", "test"} <= mentioned <= targets


# Routes and fields


def routes(resolver: Any, prefix: str = "") -> Iterator[tuple[str, str]]:
    """Method and route of everything below the API's base path, as the documentation writes them."""
    for entry in resolver.url_patterns:
        route = prefix + str(entry.pattern)
        if isinstance(entry, URLResolver):
            yield from routes(entry, route)
        elif isinstance(entry, URLPattern) and route.startswith(API):
            view: Any = entry.callback
            for method in getattr(view, "actions", None) or view.cls.http_method_names:
                if method == "head":
                    continue  # it works wherever GET does
                yield method.upper(), re.sub(r"<\w+:(\w+)>", r"{\1}", route.removeprefix(API))


def test_api_page_has_every_route_and_no_other() -> None:
    headings = re.findall(r"^### (GET|POST) (\S+)$", read("docs/api.md"), re.MULTILINE)
    assert len(headings) == len(set(headings))
    assert set(headings) == set(routes(get_resolver()))


def test_every_route_has_a_call() -> None:
    for method, route in routes(get_resolver()):
        text = section(read("docs/api.md"), f"### {method} {route}")
        pattern = re.sub(r"\\{\w+\\}", r"(\\$?\\w+)", re.escape(route))
        assert re.search(rf'(?:call|stream) "?{pattern}["\s?]', text), f"{method} {route}"


def test_fields_table_has_every_field_of_a_program_and_no_other() -> None:
    text = section(read("docs/api.md"), "## Fields of a program").partition("### ")[0]
    assert first_cells(text) == set(ProgramSerializer().fields)


def test_filters_of_the_list_are_all_named() -> None:
    text = section(read("docs/api.md"), "### GET programs")
    assert set(ProgramFilterSerializer().fields) <= set(quoted(text))


def test_fields_of_start_are_all_named() -> None:
    text = section(read("docs/api.md"), "### POST programs/{id}/start")
    assert first_cells(text) == set(StartSerializer().fields)


def test_fields_of_a_batch_are_all_named() -> None:
    text = section(read("docs/api.md"), "### POST programs/batch")
    assert set(BatchSerializer().fields) <= first_cells(text)
    assert {*SelectSerializer().fields, *VERBS} <= set(re.findall(r"\w+", " ".join(quoted(text))))


def test_fields_of_restart_are_all_named() -> None:
    text = section(read("docs/api.md"), "### POST programs/{id}/restart")
    assert set(RestartSerializer().fields) <= set(quoted(text))


def test_fields_of_a_launch_are_all_named() -> None:
    text = section(read("docs/api.md"), "### POST quick-start")
    by_group = {name for name in LaunchSerializer().fields if re.match(r"std|log_|logs_|terminal_", name)}
    assert set(LaunchSerializer().fields) - by_group <= set(quoted(text))


# Architecture


def all_signals() -> dict[str, Signal]:
    """Django's signals of models and logins, and our own, by name."""
    own = (importlib.import_module(f"{app}.signals") for app in wired_apps())
    modules = [model_signals, auth_signals, *own]
    return {
        name: signal
        for module in modules
        for name, signal in vars(module).items()
        if isinstance(signal, Signal)
    }


def wired_apps() -> list[str]:
    return [app for app in APPS if (PROJECT / app / "signals.py").exists()]


def test_signals_table_has_every_receiver_and_no_other() -> None:
    senders = {id(model): model.__name__ for model in apps.get_models()}
    connected = {
        (name, senders.get(sender, "any"), receiver().__name__)
        for name, signal in all_signals().items()
        for (_, sender), receiver, *_ in signal.receivers
        if receiver() and receiver().__module__.partition(".")[0] in APPS
    }
    table = rows(section(read("docs/architecture.md"), "## Signals"))
    documented = [tuple(cell.strip("`") for cell in row[:3]) for row in table]
    assert len(documented) == len(set(documented))
    assert set(documented) == connected


def test_modules_list_every_module_and_no_other() -> None:
    packages = re.findall(r"^### `([a-z0-9_/]+)/`", read("docs/architecture.md"), re.MULTILINE)
    documented = {
        f"{package}/{module.replace('.', '/')}.py"
        for package in packages
        for module in first_cells(section(read("docs/architecture.md"), f"### `{package}/`"))
    }
    modules = {
        str(file.relative_to(PROJECT))
        for app in [*APPS, "daemonctl", "hoody_daemon"]
        for file in (PROJECT / app).rglob("*.py")
        if file.name != "__init__.py" and "migrations" not in file.parts
    }
    assert documented == modules


def test_modules_list_every_import_contract_and_no_other() -> None:
    contracts = set(re.findall(r'^id = "([\w-]+)"', read("pyproject.toml"), re.MULTILINE))
    assert first_cells(section(read("docs/architecture.md"), "## The layers")) == contracts


def test_layers_are_drawn_as_they_are_enforced() -> None:
    text = section(read("docs/architecture.md"), "## The layers")
    for container in ("daemon_programs", "daemon_programs.supervisor"):
        contract = next(
            contract
            for contract in tomllib.loads(read("pyproject.toml"))["tool"]["importlinter"]["contracts"]
            if contract.get("containers") == [container]
        )
        drawn = [line.partition("   ")[0].strip() for line in text.splitlines()]
        start = drawn.index(contract["layers"][0])
        assert drawn[start : start + len(contract["layers"])] == contract["layers"]


# Links


def slug(heading: str) -> str:
    """The anchor that a heading gets."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-")


def anchors(page: Path) -> set[str]:
    text = re.sub(r"```.*?```", "", page.read_text(), flags=re.DOTALL)
    return {slug(heading) for heading in re.findall(r"^#+ (.*)$", text, re.MULTILINE)}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_relative_links_lead_somewhere(page: Path) -> None:
    for link in re.findall(r"\]\(([^)\s]+)\)", page.read_text()):
        if link.startswith(("http://", "https://")):
            continue
        path, _, anchor = link.partition("#")
        target = page.parent / path if path else page
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link


@pytest.mark.parametrize("app", APPS)
def test_sections_that_code_cites_exist(app: str) -> None:
    sections = set(re.findall(r"^## (\d+)\. ", read("docs/contract.md"), re.MULTILINE))
    for file in (PROJECT / app).rglob("*.py"):
        for cited in re.findall(
            r"docs/contract\.md,\s+sections?\s+(\d(?:(?:, | and | to )?\d)*)", file.read_text()
        ):
            assert set(re.findall(r"\d+", cited)) <= sections, f"{file}: {cited}"


# What a running stack shows


def test_everything_in_the_state_folder_is_explained(stack: Stack) -> None:
    named = first_cells(section(read("docs/operations.md"), "## The state folder"))
    present = {entry.name for entry in stack.folder.iterdir() if not entry.name.endswith(".tmp")}
    # The database's companions are named by their ends.
    present = {re.sub(r"^db\.sqlite3-(wal|shm)$", r"-\1", name) for name in present}
    assert present - {name.rstrip("/") for name in named} == set()


def calls(page: str) -> list[str]:
    """The shell blocks of a page that call the API."""
    return [
        block
        for block in re.findall(r"```sh\n(.*?)```", page, re.DOTALL)
        if re.search("curl -|call |stream ", block)
    ]


def adapt(text: str, stack: Stack, ports: dict[int, int]) -> str:
    """The same calls for this stack: another address, another folder, ports that are free."""
    text = text.replace("127.0.0.1:8000", f"127.0.0.1:{stack.port}").replace("var/", f"{stack.folder}/")
    return re.sub(r"\b9[02]0\d\b", lambda port: str(ports[int(port[0])]), text)


def run(script: str) -> str:
    done = subprocess.run(
        ["sh", "-euc", script],
        cwd=PROJECT,
        env={**os.environ, "no_proxy": "*"},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "curl: (" not in done.stderr
    return done.stdout


def ports_in_a_row(count: int) -> list[int]:
    """Free ports, one after the other."""
    while True:
        first = free_port()
        ports = list(range(first, first + count))
        if ports[-1] < 65536 and all(map(_is_free, ports)):
            return ports


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) != 0


def test_calls_of_the_readme_work_as_they_stand(own_stack: Stack) -> None:
    own_stack.start()
    port = free_port()
    register, start, quick, happened = calls(read("README.md"))
    run(adapt(register, own_stack, {9000: port}))
    assert eventually(lambda: _answers(port), what="the program of the README answers")
    assert run(adapt(start, own_stack, {9000: port})) == '{"success":true,"already_running":true}'
    assert '"stdout":"Linux' in run(adapt(quick, own_stack, {9000: port}))
    assert '"state":"exited"' in run(adapt(happened, own_stack, {}))


def _answers(port: int) -> bool:
    try:
        return requests.get(f"http://127.0.0.1:{port}/", timeout=5).ok
    except requests.ConnectionError:
        return False


def test_calls_of_the_api_page_work_in_order(own_stack: Stack) -> None:
    api = own_stack.start().api
    eventually(lambda: api.get("ready").ok, what="all parts have run for a second")
    ports = dict(zip(range(9201, 9206), ports_in_a_row(5), strict=True))
    printed = run(adapt("\n".join(calls(read("docs/api.md"))), own_stack, ports))
    assert printed.count('"success":true') > 30
    assert '"success":false' not in printed
    left = own_stack.api.get("programs").json()["programs"]
    assert [program["name"] for program in left] == ["example-web", "example-workers"]
