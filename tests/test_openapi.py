"""The OpenAPI document: valid, up to date, complete, and served with everything that shows it."""

import difflib
import re
from collections.abc import Iterator
from html.parser import HTMLParser
from typing import Any
from urllib.parse import urljoin, urlsplit

import jsonschema
import pytest
import requests
import yaml
from django.core.exceptions import ValidationError
from django.core.management import call_command
from django.urls import URLPattern, URLResolver, get_resolver
from hypothesis import example, given, settings
from hypothesis import strategies as st

from daemon_programs.serializers.program import ProgramSerializer
from daemon_programs.validators import rules
from tests.stack import PROJECT, Stack

SNAPSHOT = PROJECT / "docs" / "openapi.yaml"
OPEN = {"getHealth", "getReady", "joinHub"}
JSON = "application/json"


@pytest.fixture(scope="module")
def text(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The document as it is generated; a warning or an invalid part is an error."""
    file = tmp_path_factory.mktemp("openapi") / "openapi.yaml"
    call_command("spectacular", "--validate", "--fail-on-warn", "--file", str(file))
    return file.read_text()


@pytest.fixture(scope="module")
def document(text: str) -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load(text)
    return loaded


def operations(document: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield path, method, operation


def test_the_document_is_valid_and_generated_without_warnings(document: dict[str, Any]) -> None:
    assert document["openapi"].startswith("3.")
    assert document["servers"] == [{"url": "/", "description": "This installation."}]


def test_the_kept_document_is_the_generated_one(text: str) -> None:
    kept = SNAPSHOT.read_text() if SNAPSHOT.exists() else ""
    difference = "".join(
        difflib.unified_diff(
            kept.splitlines(keepends=True), text.splitlines(keepends=True), "docs/openapi.yaml", "generated"
        )
    )
    if difference:
        pytest.fail(f"run `make schema`, and read what it changes:\n{difference}", pytrace=False)


def test_a_stack_serves_the_same_document(stack: Stack, text: str) -> None:
    served = requests.get(f"{stack.url}/api/schema/", timeout=30)
    assert served.status_code == 200
    # Each installation's session cookie carries its port.
    assert re.sub(r"hoody_session_\d+", "hoody_session_8000", served.text) == text


def test_every_route_of_the_api_is_documented(document: dict[str, Any]) -> None:
    routes = {
        "/" + re.sub(r"<\w+:(\w+)>", r"{\1}", route)
        for route in _routes(get_resolver().url_patterns)
        if route.startswith("api/v1/") or route == "metrics"
    }
    assert routes == set(document["paths"])


def _routes(patterns: list[Any], prefix: str = "") -> Iterator[str]:
    for pattern in patterns:
        if isinstance(pattern, URLResolver):
            yield from _routes(pattern.url_patterns, prefix + str(pattern.pattern))
        elif isinstance(pattern, URLPattern):
            yield prefix + str(pattern.pattern)


def test_every_operation_needs_the_token_or_the_session_but_three(document: dict[str, Any]) -> None:
    for _, _, operation in operations(document):
        needed = operation.get("security", [])
        expected = [] if operation["operationId"] in OPEN else [{"bearerAuth": []}, {"cookieAuth": []}]
        assert needed == expected, operation["operationId"]


def test_every_operation_is_described_and_shown_by_examples(document: dict[str, Any]) -> None:
    for _, method, operation in operations(document):
        name = operation["operationId"]
        assert operation["summary"], name
        assert operation["description"], name
        (answer,) = operation["responses"]["200"]["content"].values()
        assert answer.get("examples"), name
        assert (method == "post") is ("requestBody" in operation), name
        if method == "post":
            assert operation["requestBody"]["content"][JSON].get("examples"), name


def test_every_example_fits_its_schema(document: dict[str, Any]) -> None:
    checked = 0
    for path, _, operation in operations(document):
        shown = [operation["responses"]["200"], operation.get("requestBody", {"content": {}})]
        for content in (each["content"][JSON] for each in shown if JSON in each["content"]):
            validator = _validator(content["schema"], document)
            for name, shape in content["examples"].items():
                problems = [problem.message for problem in validator.iter_errors(shape["value"])]
                assert not problems, f"{path}: {name}"
                checked += 1
    assert checked > 40


def test_every_error_has_an_example_that_fits(document: dict[str, Any]) -> None:
    for answer in document["components"]["responses"].values():
        content = answer["content"][JSON]
        _validator(content["schema"], document).validate(content["example"])


def _validator(schema: dict[str, Any], document: dict[str, Any]) -> jsonschema.Draft202012Validator:
    """Of a schema of the document; answers and bodies must not have properties that it doesn't name."""
    components = _as_json_schema(document["components"])
    for component in components["schemas"].values():
        if component.get("type") == "object":
            component.setdefault("additionalProperties", False)
    return jsonschema.Draft202012Validator({**_as_json_schema(schema), "components": components})


def _as_json_schema(node: Any) -> Any:
    """OpenAPI 3.0 says ``nullable`` where JSON Schema has a type of its own."""
    if isinstance(node, list):
        return [_as_json_schema(each) for each in node]
    if not isinstance(node, dict):
        return node
    plain = {name: _as_json_schema(each) for name, each in node.items() if name != "nullable"}
    return {"anyOf": [plain, {"type": "null"}]} if node.get("nullable") is True else plain


blanks = st.sampled_from([chr(code) for code in range(0x3001) if chr(code).isspace()])
typed = st.text(st.characters(exclude_categories=["Cs"]) | blanks | st.sampled_from("'\"\0\n\r:/.01"))


patient = settings(deadline=None)  # the first example loads the document


@patient
@given(typed)
@example("")
@example("\x1c")
@example("\x85")
@example("\ufeff")
@example("a\u3000b")
@example("it's")
@example("a\n")
@example("x" * 128)
@example("x" * 129)
def test_the_document_knows_which_names_are_taken(document: dict[str, Any], name: str) -> None:
    assert _fits(document, "name", name) is _is_taken("name", name, rules.check_name)


@patient
@given(typed)
@example("\u2003")
@example("x" * 64)
@example("x" * 65)
def test_the_document_knows_which_users_can_exist(document: dict[str, Any], user: str) -> None:
    if not _fits(document, "user", user):
        assert not _is_taken("user", user, rules.check_user)


@patient
@given(typed)
@example("\t\x85")
@example("true\n")
@example("''")
def test_the_document_knows_which_commands_can_be_taken(document: dict[str, Any], command: str) -> None:
    if _fits(document, "command", command):
        assert _is_taken("command", command)  # how it is split is beyond a pattern
    else:
        assert not _is_taken("command", command, rules.check_command)


@patient
@given(st.text("0123456789:.-aZ٣ ", max_size=12))
@example("host-1.example:1.0")
@example(":٣")
@example("1\n")
def test_the_document_knows_which_displays_are_taken(document: dict[str, Any], display: str) -> None:
    if display:
        assert _fits(document, "display", display) is _is_taken("display", display, rules.check_display)


@patient
@given(typed)
@example("/tmp/x\x85")
@example("/tmp/")
@example("tmp")
def test_the_document_knows_which_log_files_can_be_taken(document: dict[str, Any], path: str) -> None:
    if path and not _fits(document, "stdout_logfile", path):
        assert not _is_taken("stdout_logfile", path, rules.check_stdout_logfile)


def _fits(document: dict[str, Any], field: str, value: str) -> bool:
    schema = document["components"]["schemas"]["ProgramRequest"]["properties"][field]
    pattern = schema["pattern"].replace("$", r"\Z")  # Python's own $ lets a line break follow
    return bool(re.search(pattern, value)) and len(value) <= schema.get("maxLength", len(value))


def _is_taken(field: str, value: str, *checks: Any) -> bool:
    """Whether the API's first look and the rules of the field let a text through."""
    if not ProgramSerializer(data={field: value}, partial=True).is_valid():
        return False
    try:
        for check in checks:
            check(value)
    except ValidationError:
        return False
    return True


class _Links(HTMLParser):
    """What a page loads."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        wanted = {"script": "src", "link": "href", "img": "src"}.get(tag)
        self.found += [value for name, value in attrs if name == wanted and value]


def test_swagger_ui_comes_whole_from_the_stack_itself(stack: Stack) -> None:
    page = requests.get(f"{stack.url}/api/docs/", timeout=30)
    assert page.status_code == 200
    own = urlsplit(stack.url).netloc
    assert {urlsplit(url).netloc for url in re.findall(r"""https?://[^\s"'<>]+""", page.text)} <= {own}
    links = [urljoin(page.url, link) for link in _Links(page.text).found]
    assert len(links) >= 4  # an icon, a style sheet, two scripts
    for link in [*links, f"{stack.url}/api/schema/"]:
        assert urlsplit(link).netloc == own
        assert requests.get(link, timeout=30).status_code == 200, link
    script = next(link for link in links if "script=" in link)
    assert "/api/schema/" in requests.get(script, timeout=30).text
    style = requests.get(next(link for link in links if link.endswith(".css")), timeout=30).text
    assert not re.findall(r"(?:url\(|@import)\s*[\"']?https?:", style)
