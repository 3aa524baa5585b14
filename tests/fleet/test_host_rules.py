"""The rules of the fields of a host, and their sentences."""

import pytest
import trustme
from django.core.exceptions import ValidationError

from fleet import validators

NAME = (
    "Field 'name' must have at most 63 lower-case letters, digits, '-' and '.', a letter or digit first "
    "and last"
)
URL = "Field 'url' must be an address such as https://web-1.example.com:8000"
CA = "Field 'ca' must be the certificates of an authority in the PEM format"
TOKEN = "Field 'token' must be an API token: at most 500 characters, without blanks"
AUTHORITY = trustme.CA()


@pytest.mark.parametrize("name", ["a", "7", "web-1", "web-1.example.com", "a" * 63, "check", "xn--bcher-kva"])
def test_names_that_are_taken(name: str) -> None:
    validators.check_name(name)


@pytest.mark.parametrize(
    "name", ["", "-a", "a-", ".a", "a.", "Web", "a_b", "a b", "a/b", "ü", "a" * 64, "a\n"]
)
def test_names_that_are_refused(name: str) -> None:
    with pytest.raises(ValidationError) as problem:
        validators.check_name(name)
    assert problem.value.messages == [NAME]


@pytest.mark.parametrize("name", ["add", "edit", "invite", "join", "remove"])
def test_words_of_routes_are_no_names(name: str) -> None:
    with pytest.raises(ValidationError) as problem:
        validators.check_name(name)
    assert problem.value.messages == [
        "Field 'name' must not be one of these words: add, edit, invite, join, remove"
    ]


@pytest.mark.parametrize(
    "url",
    [
        "https://web-1.example.com",
        "https://web-1.example.com:8000",
        "http://127.0.0.1:8000/",
        "https://[fd00::1]:8000",
        "HTTPS://Web-1",
    ],
)
def test_addresses_that_are_taken(url: str) -> None:
    validators.check_url(url)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "web-1",
        "ftp://web-1",
        "https://",
        "https://:8000",
        "https://web-1:0",
        "https://web-1:99999",
        "https://user:secret@web-1",
        "https://user@web-1",
        "https://web-1/api",
        "https://web-1?x",
        "https://web-1/?",
        "https://web-1#x",
        "https://web 1",
        "https://web-1\n",
        "https://wéb",
        "https://[fd00::1",
        "https://-web",
        "https://web-1\\@evil.example",
    ],
)
def test_addresses_that_are_refused(url: str) -> None:
    with pytest.raises(ValidationError) as problem:
        validators.check_url(url)
    assert problem.value.messages == [URL]


@pytest.mark.parametrize("text", ["", " \n", AUTHORITY.cert_pem.bytes().decode()])
def test_authorities_that_are_taken(text: str) -> None:
    validators.check_ca(text)


@pytest.mark.parametrize(
    "text",
    [
        "x",
        "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----",
        "ü",
        "\0",
        AUTHORITY.cert_pem.bytes().decode() + AUTHORITY.private_key_pem.bytes().decode(),
        AUTHORITY.private_key_pem.bytes().decode(),
    ],
)
def test_what_is_no_authority_or_a_secret_is_refused(text: str) -> None:
    with pytest.raises(ValidationError) as problem:
        validators.check_ca(text)
    assert problem.value.messages == [CA]


@pytest.mark.parametrize("text", ["hdt_abc-_", "x", "~" * 500])
def test_tokens_that_are_taken(text: str) -> None:
    validators.check_token(text)


@pytest.mark.parametrize("text", ["", "a b", "a\n", "ü", "x" * 501])
def test_what_can_be_no_token_is_refused_without_being_repeated(text: str) -> None:
    with pytest.raises(ValidationError) as problem:
        validators.check_token(text)
    assert problem.value.messages == [TOKEN]
