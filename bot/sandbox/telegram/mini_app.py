"""How Telegram opens a Mini App: what it puts behind the address, signed with the bot's token.

Sources: https://core.telegram.org/bots/webapps#validating-data-received-via-the-mini-app and, for the Ed25519
`signature`, #validating-data-for-third-party-use.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from functools import cache
from urllib.parse import urlencode, urlsplit

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from bot.sandbox.telegram.world import Chat, Person
from bot.sandbox.wire import Json

VERSION = "8.0"
THEME = {"bg_color": "#ffffff", "text_color": "#1c2028", "button_color": "#2481cc", "button_text_color": "#ffffff"}


@cache
def signing_key() -> Ed25519PrivateKey:
    """What Telegram signs for third parties with; its public half is `signing_key().public_key()`."""
    return Ed25519PrivateKey.generate()


def init_data(
    token: str, person: Person, auth_date: int, start_param: str = "", chat: Chat | None = None, query_id: str = ""
) -> str:
    """`Telegram.WebApp.initData`. `chat`: where a direct link was tapped; `query_id`: only behind buttons."""
    user: Json = person.wire() | {"last_name": "", "allows_write_to_pm": True}
    fields = {"user": json.dumps(user, separators=(",", ":"), ensure_ascii=False), "auth_date": str(auth_date)}
    if query_id:
        fields["query_id"] = query_id
    if chat:
        fields |= {"chat_instance": str(abs(chat.id) * 7919), "chat_type": chat.type}
    if start_param:
        fields["start_param"] = start_param
    bot_id = token.partition(":")[0]
    signature = signing_key().sign(f"{bot_id}:WebAppData\n{_lines(fields)}".encode())
    fields["signature"] = base64.urlsafe_b64encode(signature).rstrip(b"=").decode()
    key = hmac.new(b"WebAppData", token.encode(), hashlib.sha256).digest()
    return urlencode(fields | {"hash": hmac.new(key, _lines(fields).encode(), hashlib.sha256).hexdigest()})


def launched(url: str, data: str, start_param: str = "") -> str:
    """The address that Telegram opens: the data stand in the fragment, which no server sees."""
    if start_param:
        url = f"{url}{'&' if urlsplit(url).query else '?'}{urlencode({'tgWebAppStartParam': start_param})}"
    fragment = {
        "tgWebAppData": data,
        "tgWebAppVersion": VERSION,
        "tgWebAppPlatform": "weba",
        "tgWebAppThemeParams": json.dumps(THEME, separators=(",", ":")),
    }
    return f"{url}{'&' if urlsplit(url).fragment else '#'}{urlencode(fragment)}"


def _lines(fields: dict[str, str]) -> str:
    return "\n".join(f"{name}={fields[name]}" for name in sorted(fields))
