"""A client of the admin, which logs in and fills in forms as a browser would."""

import functools
import re
from html.parser import HTMLParser
from typing import Any

import requests
from django.contrib.auth.hashers import PBKDF2PasswordHasher

from tests.stack import Stack

PASSWORD = "correct-horse-battery-9"
_PEOPLE = """
from django.contrib.auth.models import Group, Permission, User

def person(name, *codenames, group=None):
    user, _ = User.objects.get_or_create(username=name, is_staff=True)
    user.password = PASSWORD
    user.save()
    user.user_permissions.set(Permission.objects.filter(codename__in=codenames))
    if group:
        user.groups.add(Group.objects.get(name=group))

person("boss")
User.objects.filter(username="boss").update(is_superuser=True)
person("viewer", group="viewers")
person("operator", group="operators")
person("changer", "view_program", "change_program")
person("starter", "view_program", "operate_program")
tokens = [verb + "_apitoken" for verb in ("view", "add", "change", "delete")]
person("clerk", *tokens)
person("blind", *Permission.objects.exclude(codename__startswith="view_").values_list("codename", flat=True))
person("registrar", "view_user", "change_user", *tokens)
"""


def create_users(stack: Stack, iterations: int = PBKDF2PasswordHasher.iterations) -> None:
    """Create the users of the tests: ``boss`` has all permissions, the others those that their names say."""
    done = stack.manage("shell", "--no-imports", "-c", f"PASSWORD = {_hashed(iterations)!r}\n{_PEOPLE}")
    assert done.returncode == 0, done.stderr


@functools.cache
def _hashed(iterations: int) -> str:
    """The password as it is stored; to hash it takes long by design, so it is done once."""
    hasher = PBKDF2PasswordHasher()
    return hasher.encode(PASSWORD, hasher.salt(), iterations)


class Form(HTMLParser):
    """The fields of a form, with the values that a browser would send."""

    def __init__(self, html: str, id: str) -> None:
        super().__init__()
        self.fields: dict[str, str] = {}
        self._id = id
        self._inside = False
        self._area = self._select = self._option = ""
        self._text: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attributes}
        if tag == "form":
            self._inside = given.get("id") == self._id
        name = given.get("name", "")
        if not self._inside:
            return
        if tag == "input" and given.get("type") not in ("submit", "checkbox"):
            self.fields[name] = re.sub("[\r\n]", "", given.get("value", ""))
        elif tag == "input" and given["type"] == "checkbox" and "checked" in given:
            self.fields[name] = given.get("value", "on")
        elif tag == "textarea":
            self._area, self._text = name, []
        elif tag == "select":
            self._select = name
        elif tag == "option" and ("selected" in given or self._select not in self.fields):
            self.fields[self._select] = given.get("value", "")

    def handle_data(self, data: str) -> None:
        if self._area:
            self._text.append(data)

    def handle_endtag(self, tag: str) -> None:
        if tag == "textarea" and self._area:
            text = re.sub("\r\n?", "\n", "".join(self._text)).removeprefix("\n")
            self.fields[self._area] = text.replace("\n", "\r\n")
            self._area = ""
        elif tag == "form":
            self._inside = False


class AdminClient:
    """The session of one user."""

    def __init__(self, stack: Stack, person: str = "boss") -> None:
        self.url = f"{stack.url}/admin/"
        self.session = stack.browser()
        self.session.get(f"{self.url}login/", timeout=60).raise_for_status()
        answer = self.post("login/", {"username": person, "password": PASSWORD, "next": "/admin/"})
        assert answer.status_code == 302, answer.text

    def get(self, path: str = "", **query: Any) -> requests.Response:
        return self.session.get(f"{self.url}{path}", params=query, timeout=60)

    def page(self, path: str = "", **query: Any) -> str:
        response = self.get(path, **query)
        assert response.status_code == 200, response.text
        return response.text

    def post(self, path: str, data: dict[str, Any], follow: bool = False) -> requests.Response:
        token = next(cookie.value for cookie in self.session.cookies if "csrf" in cookie.name)
        data = {"csrfmiddlewaretoken": token, **data}
        return self.session.post(f"{self.url}{path}", data=data, timeout=60, allow_redirects=follow)

    def form(self, path: str, id: str = "program_form") -> dict[str, str]:
        return Form(self.page(path), id).fields

    def add(self, **fields: Any) -> requests.Response:
        """Fill in the form of a new program."""
        path = f"{PROGRAMS}add/"
        return self.post(path, {**self.form(path), **fields}, follow=True)

    def change(self, id: int, **fields: Any) -> requests.Response:
        """Open the form of a program, change some fields, and save."""
        path = f"{PROGRAMS}{id}/change/"
        filled = {**self.form(path), **fields}
        sent = {name: value for name, value in filled.items() if value is not None}
        return self.post(path, sent, follow=True)

    def act(self, action: str, *ids: int, **more: Any) -> requests.Response:
        """Run an action for programs selected in the list."""
        return self.post(PROGRAMS, {"action": action, "_selected_action": ids, **more}, follow=True)

    def press(self, id: int, button: str, value: str = "all") -> requests.Response:
        """Press a button on a program's page."""
        return self.post(f"{PROGRAMS}{id}/operate/", {button: value}, follow=True)


PROGRAMS = "daemon_programs/program/"
TOKENS = "hoody_site/apitoken/"


def messages_of(response: requests.Response) -> list[str]:
    """Return the messages at the top of a page, as text."""
    block = re.search(r'<ul class="messagelist">(.*?)</ul>', response.text, re.S)
    return [text_of(item) for item in re.findall(r"<li[^>]*>(.*?)</li>", block[1], re.S)] if block else []


def summary_of(response: requests.Response) -> str:
    """Return the summary of what has become of the chosen programs, without its details."""
    (summary,) = re.findall(r'<span class="batch-summary">(.*?)</span>', response.text, re.S)
    return text_of(summary)


def details_of(response: requests.Response) -> list[str]:
    """Return the lines of its details, as text."""
    (details,) = re.findall(r'<details class="batch-details">(.*?)</details>', response.text, re.S)
    return [text_of(line.replace("<dd>", " – ")) for line in re.findall(r"<dt>.*?</dd>", details, re.S)]


def errors_of(response: requests.Response) -> list[str]:
    """Return the errors of a form, as text."""
    blocks = re.findall(r'<ul class="errorlist[^>]*>(.*?)</ul>', response.text, re.S)
    return [text_of(item) for block in blocks for item in re.findall(r"<li>(.*?)</li>", block, re.S)]


def row_of(page: str, id: int) -> str:
    """Return the row of a program in the list, as text."""
    rows = re.findall(r"<tr[^>]*>(.*?)</tr>", page, re.S)
    return next(text_of(row) for row in rows if f"/{id}/change/" in row)


def live_html(page: str) -> str:
    """Return the live part of a page, above the form."""
    part = re.search(r'<section class="live.*?</section>', page, re.S)
    assert part
    return part[0]


def live_of(page: str) -> str:
    """Return the live part of a page, as text."""
    return text_of(live_html(page))


def text_of(html: str) -> str:
    text: list[str] = []
    reader = HTMLParser()
    reader.handle_data = text.append  # type: ignore[method-assign]
    reader.feed(html)
    return " ".join("".join(text).split())
