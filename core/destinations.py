"""Where webhooks and callbacks may go: which URLs are taken, and which addresses are dialled (against SSRF).

Pure. `check_url` judges what can be judged when a URL is registered; `refusal` judges the addresses that its name
resolves to, each time, and only a judged address is dialled. `ipaddress.is_global` would not do: it lets through
multicast, 6to4, Teredo and what else carries an IPv4 address inside.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import AddressValueError, IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from urllib.parse import urlsplit

from core.errors import InvalidInput

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

MAX_URL = 2_000
PORTS = frozenset({443, 8443})  # on the internet; a named internal network may use any
LOCAL_NAMES = ("localhost", "127.0.0.1")
_VISIBLE = re.compile(r"[!#-;=?-\[\]_a-z~]+", re.ASCII)  # no space, control, quote, <, >, \, ^, `, {, |, }; no IRI
_NAME = re.compile(r"(?=.{1,253}\.?$)([a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?\.)*[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.?")
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*", re.ASCII)  # resolvers read such a last label as part of an IPv4 address

# IANA's special-purpose registries (IPv4), and what one cloud serves its metadata from.
_REFUSED_V4 = tuple(
    (IPv4Network(network), why)
    for network, why in (
        ("0.0.0.0/8", "unspecified"),
        ("10.0.0.0/8", "private"),
        ("100.64.0.0/10", "shared by a carrier (CGNAT)"),
        ("127.0.0.0/8", "loopback"),
        ("168.63.129.16/32", "a cloud's own"),
        ("169.254.0.0/16", "link-local"),
        ("172.16.0.0/12", "private"),
        ("192.0.0.0/24", "reserved for protocols"),
        ("192.0.2.0/24", "for documentation"),
        ("192.31.196.0/24", "reserved for protocols"),
        ("192.52.193.0/24", "reserved for protocols"),
        ("192.88.99.0/24", "6to4"),
        ("192.168.0.0/16", "private"),
        ("192.175.48.0/24", "reserved for protocols"),
        ("198.18.0.0/15", "for benchmarks"),
        ("198.51.100.0/24", "for documentation"),
        ("203.0.113.0/24", "for documentation"),
        ("224.0.0.0/4", "multicast"),
        ("255.255.255.255/32", "broadcast"),
        ("240.0.0.0/4", "reserved"),
    )
)
# Of IPv6 only global unicast (2000::/3) is dialled, without the following; the rest has a name where one helps.
_GLOBAL_V6 = IPv6Network("2000::/3")
_REFUSED_V6 = tuple(
    (IPv6Network(network), why)
    for network, why in (
        ("::/128", "unspecified"),
        ("::1/128", "loopback"),
        ("::ffff:0:0/96", "an IPv4 address in disguise (mapped)"),
        ("::ffff:0:0:0/96", "an IPv4 address in disguise (translated)"),
        ("::/96", "an IPv4 address in disguise (compatible)"),
        ("64:ff9b::/96", "NAT64"),
        ("64:ff9b:1::/48", "NAT64"),
        ("100::/64", "discarded"),
        ("2001::/32", "Teredo"),
        ("2001:2::/48", "for benchmarks"),
        ("2001::/23", "reserved for protocols"),
        ("2001:db8::/32", "for documentation"),
        ("2002::/16", "6to4"),
        ("3fff::/20", "for documentation"),
        ("fc00::/7", "private"),
        ("fe80::/10", "link-local"),
        ("fec0::/10", "private"),
        ("ff00::/8", "multicast"),
    )
)
_ISATAP = (0x0000_5EFE, 0x0200_5EFE)  # RFC 5214: the upper half of an interface id that ends in an IPv4 address


@dataclass(frozen=True, slots=True)
class Destination:
    """Whom to dial for a URL. `host` has no brackets and is in lower case."""

    scheme: str
    host: str
    port: int


@dataclass(frozen=True, slots=True)
class Destinations:
    """The rules of one installation.

    `development`: plain http to loopback is allowed as well. `networks`: internal ones that the operator has named.
    """

    development: bool = False
    networks: tuple[Network, ...] = ()

    def check_url(self, url: str, field: str) -> Destination:
        """The destination of a URL that may be registered. Raises InvalidInput that names `field`."""
        if len(url) > MAX_URL:
            raise InvalidInput(f"{field} may have {MAX_URL} characters", field=field)
        found = _split(url)
        if found is None:
            raise InvalidInput(f"{field} must be an address like https://agent.example.com/hitl", field=field)
        if problem := self._problem(found):
            raise InvalidInput(f"{field} {problem}", field=field)
        return found

    def _problem(self, found: Destination) -> str | None:
        if found.scheme == "http":
            if self.development and found.host in LOCAL_NAMES:
                return None
            return "must begin with https://" + (" (or http://localhost)" if self.development else "")
        literal = _literal(found.host)
        if literal is not None:
            return self._literal_problem(literal, found)
        if found.host.rstrip(".").rpartition(".")[2] == "localhost" and not self.networks:
            return "must not lead to this machine"
        if not self.networks and found.port not in PORTS:
            return f"must use port {_ports()}"
        return None

    def _literal_problem(self, literal: Address, found: Destination) -> str | None:
        why = self.refusal(literal, found.port, found.scheme)
        return None if why is None else f"must not lead there: {why}"

    def refusal(self, address: Address, port: int, scheme: str) -> str | None:
        """Why this address is not dialled, in words; None when it may be."""
        if scheme == "http":
            # Plain http is for a developer's own machine and nothing else, whatever networks are named.
            if self.development and address.is_loopback:
                return None
            return "plain http is not sent there"
        if any(address in network for network in self.networks):  # of another family: not in it
            return None
        if (kind := _kind(address)) is not None:
            return f"the address is {kind}"
        return None if port in PORTS else f"the port is none of {_ports()}"


def parse_networks(texts: Sequence[str]) -> tuple[Network, ...]:
    """Networks like `10.20.0.0/16`. Raises ValueError that quotes the wrong one."""
    return tuple(ip_network(text.strip()) for text in texts if text.strip())


def _kind(address: Address) -> str | None:
    """What kind of address it is, when it is not one of the public internet."""
    if isinstance(address, IPv4Address):
        return next((why for network, why in _REFUSED_V4 if address in network), None)
    if address.scope_id is not None:
        return "link-local"
    if why := next((why for network, why in _REFUSED_V6 if address in network), None):
        return why
    if address not in _GLOBAL_V6:
        return "not of the public internet"
    if int(address) >> 32 & 0xFFFF_FFFF in _ISATAP:
        return "an IPv4 address in disguise (ISATAP)"
    return None


def _split(url: str) -> Destination | None:
    """The parts of a URL that is written plainly; None for everything that two parsers might read differently."""
    if not _VISIBLE.fullmatch(url.lower()):
        return None
    try:
        parts = urlsplit(url)
        port, host = parts.port, parts.hostname
    except ValueError:  # a port that is no number, a bracket that does not close
        return None
    if parts.scheme not in ("http", "https") or not url.startswith(f"{parts.scheme}://"):
        return None
    if not host or "@" in parts.netloc or "#" in url or port == 0 or parts.netloc.endswith(":"):
        return None
    if parts.query and not parts.path:
        return None
    if parts.netloc.startswith("["):
        if not _is_ipv6(host):
            return None
    elif not _NAME.fullmatch(host) or (_ends_in_a_number(host) and _literal(host) is None):
        return None
    return Destination(parts.scheme, host, port or (443 if parts.scheme == "https" else 80))


def _is_ipv6(host: str) -> bool:
    try:
        return IPv6Address(host).scope_id is None
    except AddressValueError:
        return False


def _ends_in_a_number(host: str) -> bool:
    return _NUMBER.fullmatch(host.rstrip(".").rpartition(".")[2]) is not None


def _literal(host: str) -> Address | None:
    try:
        return ip_address(host)
    except ValueError:
        return None


def _ports() -> str:
    return " or ".join(str(port) for port in sorted(PORTS))
