"""The secret that everything sealed hangs on: from the setting, else from a file that is made at the first start."""

from __future__ import annotations

import hashlib
import os
import secrets
from contextlib import suppress
from pathlib import Path

import structlog
from platformdirs import user_data_path

from bot.settings import Settings, WrongSetting
from core.sealing import MIN_SECRET, KeyRing

log = structlog.get_logger()


def key_file(settings: Settings) -> Path:
    """Where the secret is kept when no setting gives it."""
    if settings.on_sqlite:
        return Path(settings.database_url.removeprefix("sqlite:///") + ".key")
    name = hashlib.sha256(settings.database_url.encode()).hexdigest()[:16]
    return user_data_path("assent") / f"{name}.key"


def key_ring(settings: Settings) -> KeyRing:
    """The keys of this installation. Raises WrongSetting when the key file cannot be read or made."""
    given = [secret.get_secret_value() for secret in settings.assent_secret_key]
    return KeyRing(given or [_kept(key_file(settings))])


def _kept(path: Path) -> str:
    try:
        if not path.exists():
            _make(path)
        secret = path.read_text().strip()
    except OSError as error:
        raise WrongSetting(f"ASSENT_SECRET_KEY is not set and {path} cannot be used: {error.strerror}") from error
    if len(secret) < MIN_SECRET:
        raise WrongSetting(f"{path} does not hold a secret key; put the right one back or set ASSENT_SECRET_KEY")
    return secret


def _make(path: Path) -> None:
    """Write a new secret under another name and link it: of processes that start together, the first one wins."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f"{path.name}.{secrets.token_hex(8)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "w") as file:
            file.write(secrets.token_urlsafe(48) + "\n")
            file.flush()
            os.fsync(file.fileno())
        with suppress(FileExistsError):
            os.link(draft, path)
            log.info("secret_key.made", file=str(path))
    finally:
        draft.unlink()
