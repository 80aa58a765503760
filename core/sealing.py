"""Secrets that must be shown again (review links on cards, tokens that adapters hold) and the ledger's seals.

Both hang on ASSENT_SECRET_KEY: one or more secrets, the first in force, the others still readable (rotation). From
each, HKDF derives an AES-256-GCM key for sealing and an Ed25519 key for signing; the secret itself is used for
nothing.
"""

from __future__ import annotations

import base64
import hashlib
import os
from collections.abc import Sequence

from cryptography.exceptions import InvalidSignature, InvalidTag
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM, AESSIV
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from core.errors import AssentError

MIN_SECRET = 16
_NONCE = 12


class Unsealable(AssentError):
    """This was sealed under a key that ASSENT_SECRET_KEY no longer holds."""

    code = "unsealable"


class _Key:
    def __init__(self, secret: str) -> None:
        self.aead = AESGCM(_derive(secret, b"assent seal v1"))
        self.siv = AESSIV(_derive(secret, b"assent value v1", length=64))
        self.signing = Ed25519PrivateKey.from_private_bytes(_derive(secret, b"assent sign v1"))
        public = self.signing.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
        self.key_id = hashlib.sha256(public).hexdigest()[:16]
        self.results = Ed25519PrivateKey.from_private_bytes(_derive(secret, b"assent result v1"))


def _derive(secret: str, purpose: bytes, *, length: int = 32) -> bytes:
    return HKDF(algorithm=SHA256(), length=length, salt=None, info=purpose).derive(secret.encode())


def _unpacked(body: str) -> bytes:
    raw = base64.urlsafe_b64decode(body)
    if base64.urlsafe_b64encode(raw).decode() != body:
        raise ValueError("base64 has several spellings; only one is ours")
    return raw


class KeyRing:
    """Seals, unseals, signs and checks. `secrets`: the one in force first; each at least 16 characters."""

    def __init__(self, secrets: Sequence[str]) -> None:
        if not secrets or any(len(secret) < MIN_SECRET for secret in secrets):
            raise ValueError(f"each secret needs at least {MIN_SECRET} characters")
        self._keys = {key.key_id: key for key in map(_Key, secrets)}
        self._current = next(iter(self._keys.values()))

    def seal(self, text: str, *, about: str) -> str:
        """Authenticated encryption, bound to `about` (an id): the sealed text cannot be moved to another row."""
        nonce = os.urandom(_NONCE)
        sealed = self._current.aead.encrypt(nonce, text.encode(), about.encode())
        return f"{self._current.key_id}.{base64.urlsafe_b64encode(nonce + sealed).decode()}"

    def knows(self, key_id: str) -> bool:
        """Whether it holds the key of this id, which everything sealed begins with."""
        return key_id in self._keys

    def unseal(self, sealed: str, *, about: str) -> str:
        """What was sealed. Raises Unsealable."""
        key_id, _, body = sealed.partition(".")
        key = self._keys.get(key_id)
        if key is None:
            raise Unsealable(key_id=key_id)
        try:
            raw = _unpacked(body)
            return key.aead.decrypt(raw[:_NONCE], raw[_NONCE:], about.encode()).decode()
        except (InvalidTag, ValueError):
            raise Unsealable("this sealed value was altered or moved", key_id=key_id) from None

    def seal_value(self, text: str, *, about: str) -> list[str]:
        """The text under every key of the ring, the one in force first. Deterministic (AES-SIV, RFC 5297): the same
        value about the same thing looks the same, so that a repeated answer is recognised without being stored in
        clear; and the hash of what is stored tells nobody who guesses values anything.
        """
        return [
            f"{key.key_id}.{base64.urlsafe_b64encode(key.siv.encrypt(text.encode(), [about.encode()])).decode()}"
            for key in self._keys.values()
        ]

    def unseal_value(self, sealed: str, *, about: str) -> str:
        """What `seal_value` sealed. Raises Unsealable."""
        key_id, _, body = sealed.partition(".")
        key = self._keys.get(key_id)
        if key is None:
            raise Unsealable(key_id=key_id)
        try:
            return key.siv.decrypt(_unpacked(body), [about.encode()]).decode()
        except (InvalidTag, ValueError):
            raise Unsealable("this sealed value was altered or moved", key_id=key_id) from None

    @property
    def result_keys(self) -> tuple[Ed25519PrivateKey, ...]:
        """The keys that results are signed with, the one in force first; others know their public halves."""
        return tuple(key.results for key in self._keys.values())

    def sign(self, message: bytes) -> tuple[str, str]:
        """(key id, hex Ed25519 signature) under the key in force."""
        return self._current.key_id, self._current.signing.sign(message).hex()

    def signed(self, message: bytes, key_id: str, signature: str) -> bool | None:
        """Whether the signature is good; None when the key is unknown here."""
        key = self._keys.get(key_id)
        if key is None:
            return None
        public: Ed25519PublicKey = key.signing.public_key()
        try:
            public.verify(bytes.fromhex(signature), message)
        except (InvalidSignature, ValueError):
            return False
        return True
