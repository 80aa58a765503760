"""Where deliveries may go: URLs as they are registered, addresses as they are dialled."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.destinations import Destination, Destinations, parse_networks
from core.errors import InvalidInput

INTERNET = Destinations()
DEVELOPMENT = Destinations(development=True)
NAMED = Destinations(networks=parse_networks(["10.20.0.0/16", "fd00:1234::/32", "127.0.0.1"]))

# One of each kind that a request must never be sent to on somebody's behalf, and the edges of its range.
REFUSED = [
    "0.0.0.0", "0.1.2.3", "0.255.255.255",  # noqa: S104 - this network
    "10.0.0.0", "10.0.0.1", "10.255.255.255",  # private
    "100.64.0.0", "100.100.100.200", "100.127.255.255",  # CGNAT, and a cloud's metadata in it
    "127.0.0.1", "127.0.0.53", "127.255.255.254",  # loopback
    "168.63.129.16",  # a cloud's own, on a public address
    "169.254.0.1", "169.254.169.254", "169.254.170.2",  # link-local: metadata of most clouds
    "172.16.0.1", "172.31.255.255",  # private
    "192.0.0.1", "192.0.0.170", "192.0.0.192",  # protocol assignments
    "192.0.2.1", "198.51.100.7", "203.0.113.9",  # documentation
    "192.88.99.1",  # 6to4 relays
    "192.168.0.1", "192.168.255.255",  # private
    "198.18.0.1", "198.19.255.255",  # benchmarks
    "224.0.0.1", "239.255.255.250",  # multicast
    "240.0.0.1", "255.255.255.254", "255.255.255.255",  # reserved, broadcast
    "::", "::1",  # unspecified, loopback
    "::127.0.0.1", "::8.8.8.8",  # IPv4-compatible
    "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:8.8.8.8", "::ffff:169.254.169.254",  # IPv4-mapped
    "::ffff:0:127.0.0.1",  # IPv4-translated
    "64:ff9b::7f00:1", "64:ff9b::8.8.8.8", "64:ff9b:1::1",  # NAT64
    "100::1",  # discard
    "2001::1", "2001:0:4136:e378:8000:63bf:3fff:fdd2",  # Teredo
    "2001:2::1",  # benchmarks
    "2001:10::1", "2001:20::1", "2001:1ff::1",  # protocol assignments
    "2001:db8::1", "3fff::1",  # documentation
    "2002:7f00:1::", "2002:808:808::1",  # 6to4
    "2606:4700::5efe:7f00:1", "2606:4700::200:5efe:10.0.0.1",  # ISATAP
    "4000::1", "5f00::1", "8000::1",  # not of the public internet
    "fc00::1", "fd00:ec2::254", "fdff::1",  # private, and a cloud's metadata in it
    "fe80::1", "fe80::1%eth0", "fec0::1",  # link-local, site-local
    "ff02::1", "ff0e::1",  # multicast
]  # fmt: skip
PUBLIC = ["1.1.1.1", "8.8.8.8", "100.63.255.255", "100.128.0.0", "172.15.255.255", "172.32.0.0", "192.167.255.255",
          "198.17.255.255", "198.20.0.0", "223.255.255.255", "2606:4700:4700::1111", "2a00:1450::1", "2001:4860::1",
          "2001:200::1", "2003::1"]  # fmt: skip


@pytest.mark.parametrize("text", REFUSED)
def test_an_address_that_is_not_of_the_public_internet_is_not_dialled(text: str) -> None:
    for destinations in (INTERNET, DEVELOPMENT):
        assert destinations.refusal(ip_address(text), 443, "https")


def test_there_are_at_least_forty_such_addresses() -> None:
    assert len(set(REFUSED)) >= 40


@pytest.mark.parametrize("text", PUBLIC)
def test_an_address_of_the_public_internet_is_dialled(text: str) -> None:
    assert INTERNET.refusal(ip_address(text), 443, "https") is None


@pytest.mark.parametrize("port", [1, 22, 25, 80, 6379, 8080, 9200, 65535])
def test_a_public_address_is_dialled_on_the_ports_of_https_only(port: int) -> None:
    assert INTERNET.refusal(ip_address("8.8.8.8"), port, "https")
    assert INTERNET.refusal(ip_address("8.8.8.8"), 8443, "https") is None


def test_plain_http_goes_to_loopback_in_development_and_nowhere_else() -> None:
    assert DEVELOPMENT.refusal(ip_address("127.0.0.1"), 3000, "http") is None
    assert DEVELOPMENT.refusal(ip_address("::1"), 3000, "http") is None
    assert INTERNET.refusal(ip_address("127.0.0.1"), 3000, "http")
    for text in ("8.8.8.8", "10.0.0.1", "169.254.169.254", "::ffff:127.0.0.1", "0.0.0.1"):
        assert DEVELOPMENT.refusal(ip_address(text), 80, "http")


def test_a_named_internal_network_may_be_dialled_on_any_port_and_its_neighbours_not() -> None:
    assert NAMED.refusal(ip_address("10.20.3.4"), 9000, "https") is None
    assert NAMED.refusal(ip_address("fd00:1234::9"), 443, "https") is None
    assert NAMED.refusal(ip_address("127.0.0.1"), 443, "https") is None
    for text in ("10.21.0.1", "fd00:1235::1", "127.0.0.2", "::ffff:10.20.3.4", "169.254.169.254"):
        assert NAMED.refusal(ip_address(text), 443, "https")
    assert NAMED.refusal(ip_address("10.20.3.4"), 80, "http")


@given(st.ip_addresses())
def test_nothing_that_the_standard_library_calls_private_or_special_is_dialled(
    address: IPv4Address | IPv6Address,
) -> None:
    if INTERNET.refusal(address, 443, "https") is None:
        assert address.is_global
        assert not address.is_multicast
        assert not address.is_reserved
        assert not isinstance(address, IPv6Address) or (
            address.ipv4_mapped is None and address.sixtofour is None and address.teredo is None
        )


@pytest.mark.parametrize(
    ("url", "destination"),
    [
        ("https://agent.example.com/hitl", Destination("https", "agent.example.com", 443)),
        ("https://agent.example.com", Destination("https", "agent.example.com", 443)),
        ("https://Agent.Example.com:8443/a/b?c=d&e=%20", Destination("https", "agent.example.com", 8443)),
        ("https://xn--80ak6aa92e.com/", Destination("https", "xn--80ak6aa92e.com", 443)),
        ("https://8.8.8.8/hook", Destination("https", "8.8.8.8", 443)),
        ("https://[2606:4700::1111]/hook", Destination("https", "2606:4700::1111", 443)),
        ("https://a_b.example.com./", Destination("https", "a_b.example.com.", 443)),
    ],
)
def test_a_plain_https_url_is_taken(url: str, destination: Destination) -> None:
    assert destination == INTERNET.check_url(url, "hitl_callback_url")


@pytest.mark.parametrize(
    "url",
    [
        "", "agent.example.com", "/hook", "https://", "https:///hook", "https:agent.example.com",
        "http://agent.example.com/", "ftp://agent.example.com/", "file:///etc/passwd", "gopher://agent.example.com/",
        "javascript:alert(1)", "data:text/plain,x", "HTTPS://agent.example.com/", " https://agent.example.com/",
        "https://user@agent.example.com/", "https://user:password@agent.example.com/", "https://@agent.example.com/",
        "https://agent.example.com:22/", "https://agent.example.com:80/", "https://agent.example.com:6379/",
        "https://agent.example.com:0/", "https://agent.example.com:65536/", "https://agent.example.com:x/",
        "https://agent.example.com:/", "https://agent.example.com:443:80/",
        "https://agent.example.com\\@169.254.169.254/", "https://agent.example.com#@169.254.169.254/",
        "https://agent.example.com/#fragment", "https://agent.example.com/a b", "https://agent.example.com/\r\nX: y",
        "https://agent.example.com/\x00", "https://agent\t.example.com/", "https://bücher.example/",
        "https://agent.example.com/ünicode", "https://127.0.0.1/", "https://127.0.0.1.:443/", "https://127.1/",
        "https://2130706433/", "https://0x7f000001/", "https://0x7f.1/", "https://0177.0.0.1/", "https://1.2.3.4.5/",
        "https://①②⑦.⓪.⓪.①/", "https://localhost/", "https://LOCALHOST/", "https://localhost./",
        "https://a.localhost/", "https://10.0.0.1/", "https://169.254.169.254/latest/meta-data/", "https://[::1]/",
        "https://[::]/", "https://[::ffff:127.0.0.1]/", "https://[fe80::1%25eth0]/", "https://[fd00:ec2::254]/",
        "https://[::1", "https://::1/", "https://[v1.x]/", "https://%31%32%37.0.0.1/", "https://agent..example.com/",
        "https://-agent.example.com/", f"https://{'a' * 64}.example.com/", "https://agent.example.com/" + "a" * 2_000,
        "https://agent.example.com?x=y",
    ],
)  # fmt: skip
def test_any_other_url_is_refused_and_the_field_is_named(url: str) -> None:
    for destinations in (INTERNET, DEVELOPMENT):
        with pytest.raises(InvalidInput) as refused:
            destinations.check_url(url, "hitl_callback_url")
        assert "hitl_callback_url" == refused.value.details["field"]
        assert refused.value.message.startswith("hitl_callback_url ")


@pytest.mark.parametrize("url", ["http://localhost:3000/hook", "http://127.0.0.1:8000/", "http://localhost/hook"])
def test_plain_http_to_this_machine_is_taken_in_development_only(url: str) -> None:
    assert "http" == DEVELOPMENT.check_url(url, "x").scheme
    with pytest.raises(InvalidInput):
        INTERNET.check_url(url, "x")


@pytest.mark.parametrize(
    "url", ["http://localhost.example.com/", "http://127.0.0.2/", "http://[::1]/", "http://10.0.0.1/", "http://0/"]
)
def test_plain_http_to_anywhere_else_is_not_taken_in_development_either(url: str) -> None:
    with pytest.raises(InvalidInput):
        DEVELOPMENT.check_url(url, "x")


def test_where_internal_networks_are_named_a_name_may_have_any_port_and_is_judged_when_it_is_dialled() -> None:
    assert 9000 == NAMED.check_url("https://hooks.corp.example:9000/", "x").port
    assert NAMED.refusal(ip_address("8.8.8.8"), 9000, "https")
    assert "10.20.3.4" == NAMED.check_url("https://10.20.3.4:9000/", "x").host
    with pytest.raises(InvalidInput):
        NAMED.check_url("https://10.21.3.4:9000/", "x")


@given(st.text(max_size=80) | st.from_regex(r"https?://[^ ]{1,60}", fullmatch=True))
def test_any_text_is_a_destination_or_invalid_input(text: str) -> None:
    try:
        found = DEVELOPMENT.check_url(text, "x")
    except InvalidInput:
        return
    assert text.startswith(("https://", "http://localhost", "http://127.0.0.1"))
    assert "@" not in text.split("/")[2]
    assert found.host == found.host.lower()
    assert 1 <= found.port <= 65535
