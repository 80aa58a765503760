"""Settings of metrics, traces and logs."""

from __future__ import annotations

import re
from typing import Literal
from urllib.parse import urlsplit

from pydantic import BaseModel, Field, SecretStr, field_validator


class WatchingSettings(BaseModel):
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

    @property
    def otel_headers(self) -> dict[str, str]:
        given = self.otel_exporter_otlp_headers
        pairs = given.get_secret_value().split(",") if given is not None else []
        return {name.strip(): value.strip() for name, _, value in (pair.partition("=") for pair in pairs)}
