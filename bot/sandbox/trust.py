"""The public certificate authorities, read once for all HTTP clients of a process: reading them takes 15 ms."""

from __future__ import annotations

import ssl
from functools import cache

import httpx


@cache
def trust() -> ssl.SSLContext:
    return httpx.create_ssl_context(trust_env=False)
