"""The Idempotency-Key of a creating request."""

from __future__ import annotations

import re
from hashlib import sha256

from api.call import Call
from core.errors import InvalidInput
from core.model import Idempotency

_NAME = b"idempotency-key"
_FORM = re.compile(r"[!-~]{1,255}", re.ASCII)


def once_of(call: Call, door: str, body: bytes) -> Idempotency | None:
    """What makes this request safe to send twice; None without the header. `door`: what the key is for, with the id of
    what is named in the path; elsewhere the same key is another one. The body is compared byte for byte. Raises
    InvalidInput.
    """
    key = _key(call)
    return None if key is None else Idempotency(door, key, sha256(body).hexdigest())


def _key(call: Call) -> str | None:
    """Raises InvalidInput for a key that is malformed or not the only one."""
    given = [str(value, "latin-1") for name, value in call.scope["headers"] if name == _NAME]
    if not given:
        return None
    if len(given) > 1:
        raise InvalidInput("Idempotency-Key stands twice; send one", field="Idempotency-Key")
    if not _FORM.fullmatch(given[0]):
        raise InvalidInput("Idempotency-Key may have 1 to 255 visible ASCII characters", field="Idempotency-Key")
    return given[0]
