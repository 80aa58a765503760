"""Settings: the sole reader of the environment and of `.env`. A bad value stops the start and names the key."""

from __future__ import annotations

import os
import re
import ssl
from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from core.destinations import parse_networks
from core.errors import AssentError
from core.floods import DEFAULT_CAP
from core.limits import DEFAULT as DEFAULT_RATE
from core.limits import parse_rates
from core.moments import zone_called
from core.sealing import MIN_SECRET

Provider = Literal["slack", "telegram"]
PROVIDERS: tuple[Provider, ...] = ("slack", "telegram")
OURS = ("ASSENT_", "SLACK_", "TELEGRAM_")  # whoever sets something that begins so means Assent
_ASSIGNED = re.compile(r"^\s*(?:export\s+)?([A-Za-z_]\w*)\s*=", re.MULTILINE)
_LOCAL = re.compile(r"http://(localhost|127\.0\.0\.1)(:\d+)?(/[A-Za-z0-9._~/-]*)?")


@dataclass(frozen=True, slots=True)
class Wrong:
    """What is wrong with a setting, without its value; `setting` is empty where several do not go together."""

    setting: str
    words: str

    def __str__(self) -> str:
        return f"{self.setting}: {self.words}" if self.setting else self.words


class WrongSetting(AssentError):
    """A setting is wrong."""

    code = "wrong_setting"

    @property
    def problems(self) -> tuple[Wrong, ...]:
        return tuple(self.details.get("problems", ()))


class Settings(BaseSettings):
    """Everything that can be set from outside. Names are those of the environment, in lower case."""

    model_config = SettingsConfigDict(env_file=".env", env_ignore_empty=True, extra="ignore", str_strip_whitespace=True)

    database_url: str = Field(
        default="sqlite:///assent.db",
        description="Where everything is kept: `sqlite:///FILE` (one process) or `postgresql://user@host/name`.",
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
    slack_bot_token: SecretStr | None = Field(default=None, description="Slack: the bot token, `xoxb-…`.")
    slack_signing_secret: SecretStr | None = Field(
        default=None, description="Slack over HTTP: the signing secret that taps are checked with."
    )
    slack_app_token: SecretStr | None = Field(
        default=None, description="Slack over Socket Mode (no public URL needed): the app-level token, `xapp-…`."
    )
    slack_client_id: str | None = Field(
        default=None,
        description="Slack: the app's client id. With `SLACK_CLIENT_SECRET` people can sign in with Slack.",
    )
    slack_client_secret: SecretStr | None = Field(default=None, description="Slack: the app's client secret.")
    slack_install: str = Field(
        default="off",
        pattern=r"^(off|anyone|T[A-Z0-9]{1,30}( *, *T[A-Z0-9]{1,30})*)$",
        description="Slack: which workspaces may be connected at `/slack/install`, beside that of `SLACK_BOT_TOKEN` or "
        "without one: their ids, `T…`, separated by commas; `anyone`; or `off`: those that are connected stay so. "
        "Needs `SLACK_CLIENT_ID` and `SLACK_SIGNING_SECRET`.",
    )
    slack_base_url: str = Field(default="https://slack.com/api/", description="Slack's Web API, or a stand-in.")
    telegram_bot_token: SecretStr | None = Field(default=None, description="Telegram: the bot's token.")
    telegram_webhook_secret: SecretStr | None = Field(
        default=None,
        description="Telegram by webhook: 1 to 256 letters, digits, `_` and `-`. Without it Assent polls.",
    )
    telegram_base_url: str = Field(default="https://api.telegram.org", description="Telegram's Bot API, or a stand-in.")
    spec_version: Literal["0.6", "0.7", "0.8"] = Field(
        default="0.6", description="The HITL Protocol version of answers to requests that name none."
    )
    review_language: Literal["en", "de"] = Field(
        default="en",
        description="The language of cards and review links, where neither the case nor its source has one.",
    )
    time_zone: str = Field(
        default="UTC",
        description="The time zone of whoever's own is not known, like `Europe/Berlin`: by its clocks the bot reads "
        "and tells the times of commands (`/away until 18:00`). Slack says people's own; who has linked both "
        "messengers has it on Telegram too.",
    )
    card_pushes_per_minute: int = Field(
        default=DEFAULT_CAP,
        ge=1,
        le=60,
        description="How many new cards a chat gets within a minute, at the most. What comes faster waits, the most "
        "urgent first, and a digest in the chat says how much that is.",
    )
    telegram_mini_app: bool = Field(
        default=False,
        description="Whether Review opens as a Mini App on cards in private chats, with the person's verified "
        "identity, and Telegram's website may show the page in a frame.",
    )
    telegram_mini_app_name: str | None = Field(
        default=None,
        pattern=r"^[A-Za-z0-9_]{3,30}$",
        description="The Mini App that cards in groups open, as @BotFather shows it behind `t.me/<bot>/`; its address "
        "there is `PUBLIC_URL/en/inbox`. Without it groups get a plain link.",
    )
    verification_providers: Annotated[tuple[Provider, ...], NoDecode] = Field(
        default=PROVIDERS,
        description="Whose evidence can satisfy a `verification_policy`, separated by commas: `slack` (taps in Slack), "
        "`telegram` (taps in Telegram, Mini Apps of the bot), or `none`. Evidence by anybody else proves nothing.",
    )
    webhook_timeout_seconds: float = Field(
        default=10,
        gt=0,
        le=30,
        description="How long one attempt to deliver a callback may take, from the name's "
        "resolution to the last byte of the answer.",
    )
    webhook_allowed_networks: Annotated[tuple[IPv4Network | IPv6Network, ...], NoDecode] = Field(
        default=(),
        description="Internal networks that callbacks may go to (https, any port), separated by commas, like "
        "`10.20.0.0/16`. Default: none; only addresses of the public internet, on ports 443 and 8443.",
    )
    flows_dir: str | None = Field(
        default=None,
        description="The folder of the flows that agents can run, one YAML file each. Default: `manifests/flows`, "
        "which comes with Assent.",
    )
    policies_dir: str | None = Field(
        default=None,
        description="The folder of the policies that say which operations are allowed, need a human or are denied, one "
        "YAML file each; changes in it take effect within seconds. Default: `manifests/policies`, which comes with "
        "Assent.",
    )
    webhook_ca_file: str | None = Field(
        default=None,
        description="A PEM file with certificate authorities that are trusted beside the public ones, for receivers in "
        "internal networks.",
    )
    dev_no_auth: bool = Field(
        default=False,
        description="For development: the runs door (`/api/intents`, `/api/runs`, …) needs no API key. Only with a "
        "`HOST` of this machine alone, such as 127.0.0.1.",
    )
    run_engine: Literal["rows", "dbos"] = Field(
        default="rows",
        description="What carries on the runs of `plan-approval`: Assent's own loop over its rows, or DBOS (needs "
        "PostgreSQL and Assent's extra `dbos`; see docs/dbos.md). The same on every process.",
    )
    run_engine_executor: str = Field(
        default="assent",
        pattern=r"^[A-Za-z0-9._-]{1,64}$",
        description="DBOS: the name of this process, its own among replicas and the same after a restart. Its waiting "
        "workflows are taken up under this name.",
    )
    run_engine_waiters: int = Field(
        default=1_000,
        ge=1,
        le=5_000,
        description="DBOS: how many workflows this process holds at once. Runs beyond that are carried on as rows.",
    )
    retention_days: int | None = Field(
        default=None,
        ge=1,
        le=36_500,
        description="For how many days content is kept once its case is closed: what was asked and answered is erased "
        "then, and its hashes stay (see docs/retention.md). Default: nothing is erased.",
    )
    database_pool: int = Field(
        default=10, ge=2, le=100, description="Connections to PostgreSQL that one process may use."
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
    metrics_token: SecretStr | None = Field(
        default=None,
        description="Whoever brings this as `Authorization: Bearer` gets `GET /metrics`, for Prometheus: 16 characters "
        "or more. Without it nothing is counted, and there are no metrics.",
    )
    otel_exporter_otlp_endpoint: str = Field(
        default="",
        description="The OpenTelemetry collector that traces are sent to over HTTP, like `http://localhost:4318` "
        "(needs Assent's extra `otel`). Default: nothing is traced.",
    )
    otel_exporter_otlp_headers: SecretStr | None = Field(
        default=None, description="What the collector is sent as headers: `name=value`, separated by commas."
    )
    otel_service_name: str = Field(default="assent", description="What this process is called in traces.")
    otel_traces_sampler_arg: float = Field(
        default=1,
        ge=0,
        le=1,
        description="The share of traces that is kept, of those that begin here; a caller's `traceparent` says so for "
        "its own.",
    )
    log_format: Literal["auto", "json", "text"] = Field(
        default="auto", description="How logs are written; `auto`: text on a terminal, else JSON Lines."
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

    @field_validator("time_zone")
    @classmethod
    def _is_zone(cls, value: str) -> str:
        if zone_called(value) is None:
            raise ValueError("is not a time zone of this machine; write one like Europe/Berlin or UTC")
        return value

    @field_validator("verification_providers", mode="before")
    @classmethod
    def _known_providers(cls, value: Any) -> Any:
        if not isinstance(value, str):
            return value
        named = tuple(part.strip() for part in value.split(",") if part.strip())
        if named == ("none",):
            return ()
        if not set(named) <= set(PROVIDERS):
            raise ValueError(f"choose from {', '.join(PROVIDERS)}, or none")
        return named

    @field_validator("webhook_ca_file")
    @classmethod
    def _readable_authorities(cls, value: str | None) -> str | None:
        if value is not None:
            try:
                ssl.create_default_context(cafile=value)
            except OSError:  # an SSLError is one
                raise ValueError("must be a readable file of certificates in PEM form") from None
        return value

    @field_validator("webhook_allowed_networks", mode="before")
    @classmethod
    def _networks(cls, value: Any) -> Any:
        if not isinstance(value, str):
            return value
        try:
            return parse_networks(value.split(","))
        except ValueError:
            raise ValueError("write networks like 10.20.0.0/16, separated by commas") from None

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

    @field_validator("metrics_token")
    @classmethod
    def _is_token(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and not re.fullmatch(r"[!-~]{16,}", value.get_secret_value()):
            raise ValueError("write at least 16 letters, digits and signs, without spaces")
        return value

    @field_validator("otel_exporter_otlp_endpoint")
    @classmethod
    def _is_collector(cls, value: str) -> str:
        parts = urlsplit(value)
        plain = not (parts.username or parts.password or parts.query or parts.fragment)
        if value == "" or (parts.scheme in ("http", "https") and parts.hostname and plain):
            return value.rstrip("/")
        raise ValueError("write an address like http://localhost:4318; secrets go into OTEL_EXPORTER_OTLP_HEADERS")

    @field_validator("otel_exporter_otlp_headers")
    @classmethod
    def _are_headers(cls, value: SecretStr | None) -> SecretStr | None:
        given = value.get_secret_value() if value is not None else ""
        if given and not re.fullmatch(r"[A-Za-z0-9-]+=[ -+\--~]+(,[A-Za-z0-9-]+=[ -+\--~]+)*", given):
            raise ValueError("write name=value, separated by commas")
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

    @field_validator("slack_base_url", "telegram_base_url")
    @classmethod
    def _is_url(cls, value: str) -> str:
        if urlsplit(value).scheme not in ("http", "https") or not urlsplit(value).hostname:
            raise ValueError("must be an http or https address")
        return value

    @field_validator("telegram_webhook_secret")
    @classmethod
    def _telegram_alphabet(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and not re.fullmatch(r"[A-Za-z0-9_-]{1,256}", value.get_secret_value()):
            raise ValueError("may hold 1 to 256 letters, digits, _ and -")
        return value

    @model_validator(mode="after")
    def _slack_is_whole(self) -> Settings:
        incoming = self.slack_signing_secret or self.slack_app_token
        if self.slack_bot_token and not incoming:
            raise ValueError("SLACK_BOT_TOKEN needs SLACK_SIGNING_SECRET (HTTP) or SLACK_APP_TOKEN (Socket Mode)")
        if incoming and not self.slack_bot_token and not self.slack_workspaces:
            raise ValueError(
                "SLACK_SIGNING_SECRET and SLACK_APP_TOKEN need SLACK_BOT_TOKEN; or SLACK_CLIENT_ID and "
                "SLACK_CLIENT_SECRET beside SLACK_SIGNING_SECRET, to connect workspaces at /slack/install"
            )
        if self.slack_install != "off" and not self.slack_workspaces:
            raise ValueError(
                "SLACK_INSTALL needs SLACK_CLIENT_ID, SLACK_CLIENT_SECRET and SLACK_SIGNING_SECRET, and no "
                "SLACK_APP_TOKEN"
            )
        if self.telegram_webhook_secret and not self.telegram_bot_token:
            raise ValueError("TELEGRAM_WEBHOOK_SECRET needs TELEGRAM_BOT_TOKEN")
        return self

    @model_validator(mode="after")
    def _slack_client_is_whole(self) -> Settings:
        if (self.slack_client_id is None) != (self.slack_client_secret is None):
            raise ValueError("SLACK_CLIENT_ID and SLACK_CLIENT_SECRET belong together")
        return self

    @model_validator(mode="after")
    def _keyless_on_this_machine_only(self) -> Settings:
        if self.dev_no_auth and self.host not in ("127.0.0.1", "::1", "localhost"):
            raise ValueError("DEV_NO_AUTH needs a HOST that only this machine reaches: 127.0.0.1, ::1 or localhost")
        return self

    @model_validator(mode="after")
    def _engine_on_postgresql(self) -> Settings:
        if self.run_engine == "dbos" and self.on_sqlite:
            raise ValueError("RUN_ENGINE: dbos needs PostgreSQL (DATABASE_URL); on SQLite choose rows")
        return self

    @property
    def otel_headers(self) -> dict[str, str]:
        given = self.otel_exporter_otlp_headers
        pairs = given.get_secret_value().split(",") if given is not None else []
        return {name.strip(): value.strip() for name, _, value in (pair.partition("=") for pair in pairs)}

    @property
    def slack_workspaces(self) -> bool:
        """Whether more Slack workspaces can be connected than the bot token's: over HTTP, with the app's client."""
        client = self.slack_client_id and self.slack_client_secret
        return bool(client and self.slack_signing_secret and not self.slack_app_token)

    @property
    def on_sqlite(self) -> bool:
        return self.database_url.startswith("sqlite:")


def read_settings(**given: Any) -> Settings:
    """The settings of the environment, with what the command line gave on top. Raises WrongSetting."""
    try:
        return Settings(**{key: value for key, value in given.items() if value is not None})
    except ValidationError as error:
        problems = tuple(map(_in_words, error.errors()))
        raise WrongSetting("; ".join(map(str, problems)), problems=problems) from None


def _in_words(problem: Any) -> Wrong:
    # Pydantic's own text would quote the value, which may be a secret.
    key = str(problem["loc"][0]).upper() if problem["loc"] else ""
    return Wrong(key, str(problem["msg"]).removeprefix("Value error, "))


def strangers() -> list[str]:
    """What is set, in `.env` or by a name that begins as ours do, and is no setting. Names only."""
    file = Path(str(Settings.model_config["env_file"]))
    kept = _ASSIGNED.findall(file.read_text(errors="replace")) if file.is_file() else []
    named = {*kept, *(name for name in os.environ if name.startswith(OURS))}
    return sorted(name for name in named if name.lower() not in Settings.model_fields)


def secrets_of(settings: Settings) -> Iterator[str]:
    """Every secret that the settings hold, raw, to be looked for in what is shown."""
    for value in (getattr(settings, name) for name in Settings.model_fields):
        yield from (one.get_secret_value() for one in _listed(value) if isinstance(one, SecretStr))
    if password := urlsplit(settings.database_url).password:
        yield password


def _listed(value: object) -> tuple[object, ...]:
    return value if isinstance(value, tuple) else (value,)
