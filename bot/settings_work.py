"""Settings of what is done for agents: the protocol, webhooks, flows, policies, runs, and how long content is kept."""

from __future__ import annotations

import ssl
from ipaddress import IPv4Network, IPv6Network
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field, field_validator
from pydantic_settings import NoDecode

from core.destinations import parse_networks


class WorkSettings(BaseModel):
    spec_version: Literal["0.6", "0.7", "0.8"] = Field(
        default="0.6", description="The HITL Protocol version of answers to requests that name none."
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
    webhook_ca_file: str | None = Field(
        default=None,
        description="A PEM file with certificate authorities that are trusted beside the public ones, for receivers in "
        "internal networks.",
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
