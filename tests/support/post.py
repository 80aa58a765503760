"""A courier on a test's gate, and TLS that tests can stand behind."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from adapters.webhook import WebhookSender
from adapters.webhook.guarded import GuardedHttp
from adapters.webhook.resolver import Unresolved
from bot.loops import Loop
from core.callbacks import callbacks
from core.couriers import Courier
from core.deliveries import Deliveries
from core.destinations import Address, Destinations
from core.hub import Hub
from core.model import Opened
from core.webhooks import decisions
from tests.support.gates import PUBLIC_URL, World

DEVELOPMENT = Destinations(development=True)


@dataclass
class Names:
    """A resolver that says what it is told: each name's answers in turn, the last one for good."""

    answers: dict[str, list[Sequence[str]]]
    asked: list[str] = field(default_factory=list)

    async def resolve(self, host: str, port: int) -> list[Address]:
        self.asked.append(host)
        turns = self.answers.get(host)
        if not turns:
            raise Unresolved(host)
        found = turns.pop(0) if len(turns) > 1 else turns[0]
        return [ip_address(text) for text in found]


@dataclass
class Post:
    """What a process with the courier role has, without its loop: `work` is one round to its end."""

    world: World
    timeout_seconds: float = 5.0
    jitter: float = 0.0

    def __post_init__(self) -> None:
        kinds = {"callback": callbacks(self.world.ring, PUBLIC_URL), "decision": decisions(self.world.ring)}
        self.deliveries = Deliveries(self.world.database, kinds, jitter=lambda: self.jitter)
        self.sender = WebhookSender(GuardedHttp(DEVELOPMENT), self.timeout_seconds)
        self.courier = Courier(self.deliveries, self.sender, self.world.hub)

    async def work(self) -> int:
        return await self.courier.work()

    async def closed(self, url: str, action: str = "confirm", **changes: Any) -> Opened:
        """A case with this callback URL, answered."""
        opened = await self.world.open("confirmation", callback_url=url, **changes)
        await self.world.answer(opened, action)
        return opened

    async def row(self, opened: Opened) -> dict[str, Any]:
        """The newest delivery of a case."""
        rows = await self.world.rows("deliveries", "case_id = :c", c=opened.case.case_id)
        return max(rows, key=lambda row: (row["created_at"], row["message_id"]))

    async def endpoint(self, opened: Opened) -> dict[str, Any]:
        endpoint_id = (await self.row(opened))["endpoint_id"]
        return await self.world.row("endpoints", "endpoint_id = :e", e=endpoint_id)

    async def wait_for(self, opened: Opened) -> int:
        """Milliseconds until the delivery is due, as its row says, on the database's clock."""

        async def body(tx: Any) -> int:
            now: int = await tx.now()
            return now

        return int((await self.row(opened))["due_at"] - await self.world.database.read(body))


@asynccontextmanager
async def couriering(courier: Courier, hub: Hub) -> AsyncIterator[None]:
    """The courier's loop, as a process runs it."""
    stopping = asyncio.Event()
    loop = Loop("deliveries", hub, courier.round, "deliveries")
    running = asyncio.create_task(loop.run(stopping))
    try:
        yield
    finally:
        stopping.set()
        await running
        await courier.drain(None)


def certificates(folder: Path, name: str) -> tuple[ssl.SSLContext, str]:
    """(a server's context with a certificate for `name`, the file of the authority that made it)."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "tests")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    (folder / "cert.pem").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    (folder / "key.pem").write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(folder / "cert.pem", folder / "key.pem")
    return server, str(folder / "cert.pem")
