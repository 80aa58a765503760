"""Settings of the process itself: where it listens, where everything is kept, who may ask how much."""

from __future__ import annotations

import re
from typing import Annotated, Any, Self
from urllib.parse import urlsplit

from pydantic import BaseModel, Field, SecretStr, field_validator, model_validator
from pydantic_settings import NoDecode

from core.limits import DEFAULT as DEFAULT_RATE
from core.limits import parse_rates
from core.sealing import MIN_SECRET

_LOCAL = re.compile(r"http://(localhost|127\.0\.0\.1)(:\d+)?(/[A-Za-z0-9._~/-]*)?")


class ServerSettings(BaseModel):
    database_url: str = Field(
        default="sqlite:///assent.db",
        description="Where everything is kept: `sqlite:///FILE` (one process) or `postgresql://user@host/name`.",
    )
    database_pool: int = Field(
        default=10, ge=2, le=100, description="Connections to PostgreSQL that one process may use."
    )
    public_url: str = Field(
        default="",
        description="The address under which people and agents reach Assent; https, or http on localhost. "
        "Links on cards begin with it. Default: `http://localhost` and the port.",
    )
    host: str = Field(default="127.0.0.1", description="The address to listen on.")
    port: int = Field(default=8080, ge=0, le=65535, description="The port to listen on; 0 takes a free one.")
    assent_secret_key: Annotated[tuple[SecretStr, ...], NoDecode] = Field(
        default=(),
        description="Seals tokens and signs the ledger: at least 16 characters; several, separated by commas, "
        "rotate (the first is in force). Default: made at the first start and kept in a file: beside the SQLite "
        "database, or for PostgreSQL in the user's data folder (set it there when there is more than one machine).",
    )
    dev_no_auth: bool = Field(
        default=False,
        description="For development: the runs door (`/api/intents`, `/api/runs`, …) needs no API key. Only with a "
        "`HOST` of this machine alone, such as 127.0.0.1.",
    )
    rate_limits: str = Field(
        default=DEFAULT_RATE,
        description="How many requests each tenant may make at each door: a number, a slash and `second`, `minute`, "
        "`hour` or `day`; or `off`. One for all doors, or several, separated by commas, like "
        "`6000/minute, executors=600/minute, hitl=off`.",
    )
    rate_limits_redis_url: SecretStr | None = Field(
        default=None,
        description="The Redis that requests are counted in, `redis://host:6379/0` (needs Assent's extra `redis`). "
        "Default: PostgreSQL; the process itself on SQLite.",
    )

    @field_validator("assent_secret_key", mode="before")
    @classmethod
    def _split(cls, value: Any) -> Any:
        if isinstance(value, str):
            return tuple(part.strip() for part in value.split(",") if part.strip())
        return value

    @field_validator("assent_secret_key")
    @classmethod
    def _long_enough(cls, value: tuple[SecretStr, ...]) -> tuple[SecretStr, ...]:
        if any(len(secret.get_secret_value()) < MIN_SECRET for secret in value):
            raise ValueError(f"each secret needs at least {MIN_SECRET} characters")
        return value

    @field_validator("database_url")
    @classmethod
    def _known_database(cls, value: str) -> str:
        if value.startswith("sqlite:///") and len(value) > len("sqlite:///"):
            return value
        try:
            parts = urlsplit(value)
            named = parts.port != 0 and parts.path.strip("/")
        except ValueError:  # a port that is none
            named = ""
        if value.startswith(("postgresql://", "postgres://")) and named:
            return value.replace("postgres://", "postgresql://", 1)
        raise ValueError("write sqlite:///FILE or postgresql://user@host/name")

    @field_validator("public_url")
    @classmethod
    def _reachable(cls, value: str) -> str:
        value = value.rstrip("/")
        if value == "" or _LOCAL.fullmatch(value):
            return value
        parts = urlsplit(value)
        if parts.scheme == "https" and parts.hostname and not parts.query and not parts.fragment:
            return value
        raise ValueError("must be https://…, or http://localhost in development")

    @field_validator("rate_limits")
    @classmethod
    def _are_limits(cls, value: str) -> str:
        parse_rates(value)
        return value

    @field_validator("rate_limits_redis_url")
    @classmethod
    def _is_redis(cls, value: SecretStr | None) -> SecretStr | None:
        try:
            parts = urlsplit(value.get_secret_value()) if value is not None else None
            if parts is None or (parts.scheme in ("redis", "rediss") and parts.hostname and parts.port):
                return value
        except ValueError:
            pass  # a port that is none
        raise ValueError("write redis://host:6379/0, or rediss:// with TLS")

    @model_validator(mode="after")
    def _keyless_on_this_machine_only(self) -> Self:
        if self.dev_no_auth and self.host not in ("127.0.0.1", "::1", "localhost"):
            raise ValueError("DEV_NO_AUTH needs a HOST that only this machine reaches: 127.0.0.1, ::1 or localhost")
        return self

    @property
    def on_sqlite(self) -> bool:
        return self.database_url.startswith("sqlite:")
