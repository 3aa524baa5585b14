"""``webhooks``: where a URL may not point to, in all the ways to write it."""

import ipaddress
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from hypothesis import given
from hypothesis import strategies as st
from urllib3.exceptions import LocationParseError
from urllib3.util import parse_url

from daemon_programs.validators import addresses
from daemon_programs.validators.webhook_config import check

URL = "https://example.com/hook"
PRIVATE = "Field 'webhooks' urls must not point to a private or reserved address: "
INTERNAL = "Field 'webhooks' urls must not point to a name of this host or network: "
NO_URL = "Field 'webhooks' urls has an entry that is no URL"


def words(text: str) -> list[str]:
    return text.split()


# What is not out on the internet, in every spelling that some resolver or library takes for it.
ADDRESSES = words("""
    127.0.0.1 127.1 127.0.1 127.255.255.254 2130706433 0x7f000001 0X7F000001 0x7f.1 0x7f.0x0.0x0.0x1
    0177.0.0.1 0177.1 017700000001 00000000177.1 0 1 0.0.0.0 0.0.0.1 127.0.0.1. 2130706433.
    １２７．０．０．１ １２７.1 127。0。0。1 127｡0｡0｡1 ⑫⑦.⓪.⓪.① 𝟏𝟐𝟕.𝟎.𝟎.𝟏 127.0.0.¹ 127․0․0․1
    127.0.0.1\ufe0f \ufe0f127.0.0.1 12\u034f7.0.0.1 1\u180b27.0.0.1 127.0.0.1\u1806 127.0\ufe00.0.1
    10.0.0.1 10.255.255.255 012.0.0.1 0xa000001 172.16.0.1 172.31.255.254 192.168.0.1 192.168.257 3232235521
    169.254.169.254 2852039166 0xA9FEA9FE 0251.0376.0251.0376 169.254.43518 168.63.129.16 100.100.100.200
    100.64.0.1 100.127.255.254 192.0.0.1 192.0.0.192 192.0.2.1 198.51.100.1 203.0.113.1 198.18.0.1 192.88.99.1
    224.0.0.1 239.255.255.255 240.0.0.1 255.255.255.255 4294967295
    [::] [::1] [0:0:0:0:0:0:0:1] [::0001] [::127.0.0.1] [::8.8.8.8]
    [::ffff:127.0.0.1] [::ffff:7f00:1] [::FFFF:7F00:0001] [0:0:0:0:0:ffff:127.0.0.1] [::ffff:169.254.169.254]
    [::ffff:10.0.0.1] [::ffff:0:127.0.0.1] [::ffff:0.0.0.0]
    [64:ff9b::7f00:1] [64:ff9b::127.0.0.1] [64:ff9b::10.0.0.1] [64:ff9b:1::1] [64:ff9b:1:7f00:0:100:808:808]
    [2002:7f00:1::] [2002:808:808::] [2001:0:7f00:1::] [2001:db8::1] [3fff::1] [5f00::1] [100::1]
    [fc00::1] [fd00:ec2::254] [fe80::1] [febf::1] [fec0::1] [ff02::1] [ff0e::1]
""")

NAMES = words("""
    localhost LocalHost localhost. a.localhost A.LOCALHOST. a.b.localhost ｌocalhost ⓛⓞⓒⓐⓛⓗⓞⓢⓣ localhost\ufe0f
    localhoſt localhost.localdomain ip6-localhost intranet metadata metadata.google.internal
    METADATA.GOOGLE.INTERNAL. metadata.google。internal metadata.goog host.docker.internal printer.local
    x.home.arpa 256.0.0.1 127.0.0.256 1.2.3.4.5 08.0.0.1 127.0.0.08 127.0.0.0x100 4294967296
    18446744071562067969 example.com.1 127..1 -a.example.com a-.example.com a.-b.com a..b.com .example.com
    example.com.. loc%61lhost 127%2e0%2e0%2e1 %31%32%37.0.0.1 127.0.0.1%00 127.0.0.1%2ecom 127.0.0.1;x.com
    127.0.0.1&x.com 127.0.0.1,x.com ١٢٧.٠.٠.١ १२७.०.०.१ *.example.com
""")

NO_URLS = [
    "", "https://", "https:/example.com", "https:example.com", "https:///example.com", "https://?example.com",
    "https://#example.com", "https://:443", "https://example.com:", "https://example.com:0",
    "https://example.com:65536", "https://example.com:x", "https://example.com:-1", "https://example.com:４４３",
    "https://127.0.0.1:443:80", "https://::1/", "https://::ffff:127.0.0.1/", "https://[::1", "https://::1]",
    "https://[v1.x]", "https://[127.0.0.1]", "https://[localhost]", "https://[::ffff:0x7f.1]",
    "https://[fe80::1%25eth0]", "https://[2606:4700::1111%25lo]", "https://[2606:4700::1111]x",
    "https://8.8.8.8[::1]", "https://[2606:4700::1111].127.0.0.1", "https://[[::1]]",
    "https://example.com\\.localhost", "https:\\\\localhost", "https://\\localhost", "https://localhost\\.example.com",
    "https://exam\tple.com", "https://local\nhost", "https://example.com\r\nX: 1", "\x01https://example.com",
    " https://example.com", "https://example.com ", "https://ex ample.com", "https://example.com/a b",
    "https://example.com/\u2028", "https://\xadlocalhost", "https://local\u200bhost", "https://example\u3000.com",
    "https://example.com\x00", "https://example.com\uff0f.localhost", "https://localhost\u2100.example.com",
    "https://" + "a" * 2048 + ".com", "https://example.com/\ud800",
]  # fmt: skip


def refusal(url: str) -> str:
    with pytest.raises(ValidationError) as refused:
        check({"urls": [URL, url]})
    assert len(refused.value.messages) == 1
    return refused.value.messages[0]


@pytest.mark.parametrize("host", ADDRESSES, ids=ascii)
def test_private_address_is_refused_in_every_spelling(host: str) -> None:
    assert refusal(f"https://{host}/hook").startswith(PRIVATE)
    assert refusal(f"https://{host}:8443").startswith(PRIVATE)


@pytest.mark.parametrize("host", [*NAMES, "a." * 126 + "com"], ids=ascii)
def test_name_that_is_not_out_on_the_internet_is_refused(host: str) -> None:
    sentence = refusal(f"https://{host}/hook")
    assert sentence.startswith((INTERNAL, "Field 'webhooks' urls has a host that is no name: ")), sentence


@pytest.mark.parametrize("url", NO_URLS, ids=ascii)
def test_what_parsers_could_read_in_two_ways_is_no_url(url: str) -> None:
    assert refusal(url).startswith((NO_URL, "Field 'webhooks' urls must be https: "))


@pytest.mark.parametrize("userinfo", ["user", "user:password", "", ":", "example.com", "example.com\\"])
def test_user_names_and_passwords_are_refused(userinfo: str) -> None:
    expected = "Field 'webhooks' urls must not carry a user name or password"
    assert refusal(f"https://{userinfo}@example.com/") == expected
    assert refusal(f"https://{userinfo}@127.0.0.1/") == expected


@pytest.mark.parametrize("scheme", ["http:", "HTTP:", "ftp:", "file:", "gopher:", "httpſ:", "https+x:", ""])
def test_other_schemes_are_refused(scheme: str) -> None:
    url = f"{scheme}//example.com/"
    assert refusal(url) == f"Field 'webhooks' urls must be https: '{url}'"


def test_every_url_is_checked_not_only_the_first() -> None:
    for place in range(5):
        urls = [URL] * 5
        urls[place] = "https://127.1"
        with pytest.raises(ValidationError, match=r"127\.0\.0\.1"):
            check({"urls": urls})


FORBIDDEN_NETWORKS = [
    ipaddress.ip_network(network)
    for network in words("""
        0.0.0.0/8 10.0.0.0/8 100.64.0.0/10 127.0.0.0/8 169.254.0.0/16 172.16.0.0/12 192.168.0.0/16 224.0.0.0/4
        240.0.0.0/4 ::/96 100::/8 2001:db8::/32 fc00::/7 fe80::/10 fec0::/10 ff00::/8
    """)
]


@st.composite
def spellings(draw: st.DrawFn) -> str:
    """A forbidden address, written in one of the many ways there are."""
    network = draw(st.sampled_from(FORBIDDEN_NETWORKS))
    number = int(network[0]) + draw(st.integers(0, network.num_addresses - 1))
    if network.version == 6:
        written = draw(st.sampled_from(["compressed", "exploded"]))
        return f"[{recased(draw, getattr(ipaddress.IPv6Address(number), written))}]"
    return disguised(draw, recased(draw, in_parts(draw, number))) + draw(st.sampled_from(["", "."]))


def in_parts(draw: st.DrawFn, number: int) -> str:
    """One to four parts, each decimal, octal or hexadecimal; the last has what the others leave."""
    split = draw(st.integers(0, 3))
    parts = [number >> (24 - 8 * place) & 255 for place in range(split)]
    parts.append(number & (1 << (32 - 8 * split)) - 1)
    forms = ("{}", "0{:o}", "000{:o}", "0x{:x}", "0x00{:x}")
    return ".".join(draw(st.sampled_from(forms)).format(part) for part in parts)


def recased(draw: st.DrawFn, text: str) -> str:
    return text.upper() if draw(st.booleans()) else text


def disguised(draw: st.DrawFn, text: str) -> str:
    """With other digits and dots that mean the same, and with what is not seen."""
    alike = {**{str(digit): [str(digit), chr(0xFF10 + digit), chr(0x1D7CE + digit)] for digit in range(10)},
             ".": [".", "。", "．", "｡"]}  # fmt: skip
    if not draw(st.booleans()):
        return text
    unseen = st.sampled_from(["", "", "", "\ufe0f", "\u034f"])
    return "".join(draw(st.sampled_from(alike.get(each, [each]))) + draw(unseen) for each in text)


@given(spellings())
def test_no_spelling_of_a_forbidden_address_gets_through(host: str) -> None:
    assert refusal(f"https://{host}/")


_pieces = st.sampled_from(
    ["https:", "//", "/", "\\", "@", ":", "#", "?", "[", "]", "::1", "127.0.0.1", "8.8.8.8",
     "localhost", "example.com", ".", "%", "%2f", "。", "／", "\ufe0f", "2606:4700::1111", "443",
     "a", ";", "&", " "]
)  # fmt: skip


@given(st.lists(_pieces, min_size=1, max_size=7).map(lambda pieces: "https://" + "".join(pieces)))
def test_what_is_accepted_means_the_same_host_to_a_client(url: str) -> None:
    try:
        host = addresses.host_of(url)
    except ValidationError:
        return
    try:
        other = parse_url(url).host
    except LocationParseError:
        return  # it can't be delivered to at all
    assert other is not None
    assert host == other.lower()
    assert host not in ("localhost", "127.0.0.1", "[::1]")


@pytest.mark.parametrize(
    "url", ["http://localhost:3000/", "http://a.localhost", "http://127.0.0.1", "https://[::1]:8443",
            "http://127.1", "http://[::ffff:127.0.0.1]/", "http://example.com"]
)  # fmt: skip
def test_development_setting_permits_http_and_loopback(settings: Any, url: str) -> None:
    assert refusal(url)
    settings.WEBHOOKS_DEVELOPMENT = True
    check({"urls": [url]})


@pytest.mark.parametrize(
    "url", ["http://10.0.0.1", "http://169.254.169.254", "http://[fe80::1]", "http://0.0.0.0", "http://[::]",
            "http://metadata.google.internal", "http://u@localhost", "ftp://localhost", "http://intranet"]
)  # fmt: skip
def test_development_setting_permits_nothing_else(settings: Any, url: str) -> None:
    settings.WEBHOOKS_DEVELOPMENT = True
    assert refusal(url)
