"""Who is signed in on the web: a cookie that only our own pages and the server see, and the forms that belong to it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field

from starlette.requests import Request
from starlette.responses import Response

from core.model import Identity
from core.sessions import SESSION_MS, Session, Sessions
from core.tokens import same

FORM = "signed"  # the name of the hidden field with which a form says in whose session it was shown


@dataclass(frozen=True, slots=True)
class Visitor:
    """Somebody who is signed in. `form`: what their forms bring along, of no use to anybody else."""

    identity: Identity
    token: str = field(repr=False)

    @property
    def form(self) -> str:
        return hashlib.sha256(b"assent-form\n" + self.token.encode()).hexdigest()

    def sent(self, form: str) -> bool:
        """Whether a form was shown in this very session."""
        return same(form, self.form)


class Visitors:
    """`public_url` begins with https but in development: then no browser would take a cookie that asks for it."""

    def __init__(self, sessions: Sessions, public_url: str) -> None:
        self._sessions = sessions
        self._secure = public_url.startswith("https://")

    @property
    def cookie(self) -> str:
        return "__Host-assent" if self._secure else "assent"

    async def of(self, request: Request) -> Visitor | None:
        """Who is signed in; None for nobody, and for a session that has ended. Raises Unavailable."""
        token = request.cookies.get(self.cookie, "")
        if not 0 < len(token) <= 200 or not token.isascii():
            return None
        identity = await self._sessions.who(token)
        return None if identity is None else Visitor(identity, token)

    def let_in(self, response: Response, session: Session) -> None:
        self.keep(response, self.cookie, session.token, SESSION_MS // 1000)

    def keep(self, response: Response, name: str, value: str, seconds: int) -> None:
        """0 seconds: forget it."""
        response.set_cookie(name, value, max_age=seconds, path="/", secure=self._secure, httponly=True, samesite="lax")

    def let_go(self, response: Response) -> None:
        self.keep(response, self.cookie, "", 0)
