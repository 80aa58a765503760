"""What is asked of browsers: the headers of every page, and which posts come from our own page. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from urllib.parse import urlsplit

# Telegram's own apps show Mini Apps in a view of their own; its website shows them in a frame.
TELEGRAM = "https://web.telegram.org"


def page_headers(nonce: str, image_hosts: Sequence[str] = (), *, mini_app: bool = False) -> dict[str, str]:
    """Nothing is stored, indexed, framed, sniffed or loaded from elsewhere, and the address is told to nobody; but for
    images from `image_hosts` (where a source allows them), and Telegram's frames when it may be a Mini App.
    """
    policy = (
        "default-src 'none'",
        f"script-src 'nonce-{nonce}'",
        "style-src 'self'",
        " ".join(("img-src 'self'", *image_hosts)),
        "connect-src 'self'",
        "form-action 'self'",
        "base-uri 'none'",
        "frame-ancestors " + (TELEGRAM if mini_app else "'none'"),
    )
    # X-Frame-Options knows no list of who may: where somebody may, only the policy can say so.
    unframed = {} if mini_app else {"X-Frame-Options": "DENY"}
    return (
        data_headers()
        | unframed
        | {
            "Content-Security-Policy": "; ".join(policy),
            "Cross-Origin-Opener-Policy": "same-origin",
            "Permissions-Policy": "camera=(), display-capture=(), geolocation=(), microphone=(), payment=(), usb=()",
            "X-Robots-Tag": "noindex, nofollow, noarchive",
        }
    )


def data_headers() -> dict[str, str]:
    return {
        "Cache-Control": "no-store",
        "Cross-Origin-Resource-Policy": "same-origin",
        "Referrer-Policy": "no-referrer",
        "X-Content-Type-Options": "nosniff",
    }


def cross_site(headers: Mapping[str, str], public_url: str) -> bool:
    """Whether a post was sent by somebody else's page.

    `Sec-Fetch-Site` decides where the browser sends it: our pages send no referrer, so that browsers put `Origin: null`
    on their own form posts. Without it the origin must be ours; no origin at all is no browser, and brings its token.
    """
    if site := headers.get("sec-fetch-site"):
        return site not in ("same-origin", "none")
    origin = headers.get("origin")
    return origin is not None and origin not in _own_origins(headers.get("host", ""), public_url)


def _own_origins(host: str, public_url: str) -> set[str]:
    """Where the page may have been loaded from: the public address, or the very host that this post was sent to."""
    parts = urlsplit(public_url)
    own = {f"{parts.scheme}://{parts.netloc}"}
    return own | {f"http://{host}", f"https://{host}"} if host else own
