"""Whether a Mini App lets itself be shown in a frame of the face: asked of the page itself, as no browser tells."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

import httpx

from bot.sandbox.trust import trust

FRAGMENT = "tgWebAppData="
ANCESTORS = re.compile(r"frame-ancestors([^;]*)", re.IGNORECASE)
WITHIN_SECONDS = 3.0


async def may_be_framed(url: str, here: str) -> bool:
    """`here`: the address of the face. Only pages of this machine that were opened as a Mini App are asked."""
    parts = urlsplit(url)
    if FRAGMENT not in parts.fragment or parts.hostname not in ("localhost", "127.0.0.1", "::1"):
        return False
    try:
        async with httpx.AsyncClient(trust_env=False, verify=trust(), timeout=WITHIN_SECONDS) as client:
            response = await client.get(parts._replace(fragment="").geturl())
    except httpx.HTTPError:
        return False
    return allows(
        response.headers.get("content-security-policy", ""), response.headers.get("x-frame-options", ""), here
    )


def allows(policy: str, frame_options: str, here: str) -> bool:
    """frame-ancestors counts when it is there, X-Frame-Options when it is not."""
    found = ANCESTORS.search(policy)
    if found is None:
        return not frame_options
    return any(source in ("*", here) for source in found[1].split())
