"""Installing the app in a workspace, and Sign in with Slack: consent pages, codes, tokens.

Sources: https://docs.slack.dev/authentication/installing-with-oauth,
https://docs.slack.dev/authentication/sign-in-with-slack. The address that is `https://slack.com` outside is
`sandbox.slack.site_url` here.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from bot.sandbox.around import Address
from bot.sandbox.clock import Clock
from bot.sandbox.slack import id_tokens
from bot.sandbox.slack.app import Grant, SlackApp
from bot.sandbox.slack.args import Args, SlackError
from bot.sandbox.slack.consent import HEADERS, page
from bot.sandbox.slack.world import Person, Workspace
from bot.sandbox.wire import Json

CODE_SECONDS = 600.0
AUTHORIZE, OPENID = "/slack/oauth/v2/authorize", "/slack/openid/connect/authorize"


@dataclass
class Code:
    """What a code stands for until it is exchanged, once."""

    openid: bool
    team_id: str
    user: str
    scopes: str
    redirect_uri: str
    nonce: str
    challenge: str
    expires_at: float
    used: bool = False


class OAuth:
    def __init__(self, app: SlackApp, clock: Clock, address: Address) -> None:
        self._app = app
        self._clock = clock
        self._address = address
        self._codes: dict[str, Code] = {}
        self.workspaces: list[Workspace] = []
        self.methods: dict[str, Callable[[Args], Json]] = {
            "oauth.v2.access": self.access,
            "openid.connect.token": self.openid_token,
        }
        """Those that take the client's secret in place of a token."""

    @property
    def site(self) -> str:
        return f"{self._address.url}/slack"

    def routes(self) -> list[BaseRoute]:
        return [
            Route(AUTHORIZE, self.authorize, methods=["GET", "POST"]),
            Route(OPENID, self.authorize, methods=["GET", "POST"]),
            Route("/slack/openid/connect/keys", self.keys, methods=["GET"]),
            Route("/slack/.well-known/openid-configuration", self.configuration, methods=["GET"]),
        ]

    # Pages

    async def authorize(self, request: Request) -> Response:
        """GET shows who could agree; POST, with `user`, is the answer: `agree` is 1, or they decline."""
        asked = dict(request.query_params)
        try:
            self._check(request.url.path, asked)
            if request.method == "GET":
                return HTMLResponse(page(asked, self._people(asked)), headers=HEADERS)
            async with request.form() as form:
                user, agrees = str(form.get("user", "")), form.get("agree") == "1"
            return RedirectResponse(self.answer(f"{request.url.path}?{urlencode(asked)}", user, agrees), 302)
        except SlackError as problem:
            return HTMLResponse(page({}, [], problem.code), 400, headers=HEADERS)

    def answer(self, url: str, user: str, agrees: bool) -> str:
        """Where the browser is sent when this person answers the consent page at `url`; SlackError as on the page."""
        parts = urlsplit(url)
        asked = dict(parse_qsl(parts.query, keep_blank_values=True))
        self._check(parts.path, asked)
        world, person = self._somebody(asked, user)
        back: Json = {"state": asked["state"]} if "state" in asked else {}
        if not agrees:
            return _with(asked["redirect_uri"], {"error": "access_denied"} | back)
        openid = parts.path == OPENID
        code = f"{secrets.randbelow(10**12)}.{secrets.randbelow(10**12)}.{secrets.token_hex(32)}"
        self._codes[code] = Code(
            openid=openid,
            team_id=world.team.id,
            user=person.id,
            scopes=_listed(asked.get("scope", "")),
            redirect_uri=asked["redirect_uri"],
            nonce=asked.get("nonce", ""),
            challenge=asked.get("code_challenge", ""),
            expires_at=self._clock.monotonic() + CODE_SECONDS,
        )
        return _with(asked["redirect_uri"], {"code": code} | back)

    async def keys(self, _request: Request) -> Response:
        return JSONResponse({"keys": [id_tokens.public_key()]})

    async def configuration(self, _request: Request) -> Response:
        return JSONResponse(
            {
                "issuer": self.site,
                "authorization_endpoint": f"{self.site}/openid/connect/authorize",
                "token_endpoint": f"{self.site}/api/openid.connect.token",
                "userinfo_endpoint": f"{self.site}/api/openid.connect.userInfo",
                "jwks_uri": f"{self.site}/openid/connect/keys",
                "scopes_supported": ["openid", "profile", "email"],
                "response_types_supported": ["code"],
                "response_modes_supported": ["query"],
                "grant_types_supported": ["authorization_code"],
                "subject_types_supported": ["public"],
                "id_token_signing_alg_values_supported": ["RS256"],
                "claims_supported": ["sub", "auth_time", "iss"],
                "claims_parameter_supported": False,
                "request_parameter_supported": False,
                "request_uri_parameter_supported": True,
                "token_endpoint_auth_methods_supported": ["client_secret_post", "client_secret_basic"],
            }
        )

    # Methods

    def access(self, args: Args) -> Json:
        """`oauth.v2.access`: the app is installed, and its bot has a token in that workspace; or a token is renewed.
        https://docs.slack.dev/authentication/using-token-rotation
        """
        if args.text("grant_type") == "refresh_token":
            self._check_client(args)
            renewed = self._app.refresh_tokens.pop(args.text("refresh_token"), None)
            if renewed is None:
                raise SlackError("invalid_refresh_token")
            return self._token_for(renewed.team_id, renewed.scopes)
        code = self._exchange(args, openid=False)
        return self._token_for(code.team_id, code.scopes) | {"authed_user": {"id": code.user}}

    def _token_for(self, team_id: str, scopes: str) -> Json:
        """A token of the bot. Those before it are good for as long as they would have been."""
        world, grant, lasts = self._world(team_id), Grant(team_id, scopes), dict[str, Any]()
        token = f"xoxb-{world.team.id.lower()}-{secrets.token_hex(12)}"
        if self._app.rotates_tokens:
            refresh, token = f"xoxe-1-{secrets.token_hex(12)}", f"xoxe.{token}"
            self._app.refresh_tokens[refresh] = grant
            grant = replace(grant, expires_at=self._clock.monotonic() + self._app.token_seconds)
            lasts = {"refresh_token": refresh, "expires_in": self._app.token_seconds}
        self._app.grants[token] = grant
        return {
            "ok": True,
            "access_token": token,
            "token_type": "bot",
            "scope": scopes,
            "bot_user_id": world.bot.id,
            "app_id": self._app.app_id,
            "team": {"id": world.team.id, "name": world.team.name},
            "enterprise": world.team.enterprise(),
            "is_enterprise_install": False,
        } | lasts

    def has_expired(self, grant: Grant) -> bool:
        return grant.expires_at is not None and self._clock.monotonic() >= grant.expires_at

    def openid_token(self, args: Args) -> Json:
        if args.text("grant_type") not in ("", "authorization_code"):
            raise SlackError("invalid_grant_type")
        code = self._exchange(args, openid=True)
        token = f"xoxp-{code.team_id.lower()}-{secrets.token_hex(12)}"
        self._app.grants[token] = Grant(code.team_id, code.scopes, code.user)
        now = int(self._clock.wall())
        claims: Json = {
            "iss": self.site,
            "sub": code.user,
            "aud": self._app.client_id,
            "exp": now + 300,
            "iat": now,
            "auth_time": now,
            "at_hash": id_tokens.at_hash(token),
        }
        if code.nonce:
            claims["nonce"] = code.nonce
        return {
            "ok": True,
            "access_token": token,
            "token_type": "Bearer",
            "id_token": id_tokens.signed(claims | self._profile(code.team_id, code.user, code.scopes)),
        }

    def user_info(self, grant: Grant) -> Json:
        if not grant.user:
            raise SlackError("not_allowed_token_type")
        return {"ok": True, "sub": grant.user} | self._profile(grant.team_id, grant.user, grant.scopes)

    def _profile(self, team_id: str, user: str, scopes: str) -> Json:
        world, wanted = self._world(team_id), scopes.split(",")
        person = world.people[user]
        told: Json = {"https://slack.com/user_id": person.id, "https://slack.com/team_id": team_id}
        if "email" in wanted:
            told |= {"email": person.email, "email_verified": True, "date_email_verified": 1_600_000_000}
        if "profile" in wanted:
            first, _, last = person.real_name.partition(" ")
            told |= {
                "name": person.real_name,
                "given_name": first,
                "family_name": last,
                "locale": "en-US",
                "picture": "https://avatars.example.com/a.png",
                "https://slack.com/team_name": world.team.name,
                "https://slack.com/team_domain": world.team.domain,
            }
        return told

    def _check_client(self, args: Args) -> None:
        if args.text("client_id") != self._app.client_id:
            raise SlackError("invalid_client_id")
        if not hmac.compare_digest(args.text("client_secret").encode(), self._app.client_secret.encode()):
            raise SlackError("bad_client_secret")

    def _exchange(self, args: Args, *, openid: bool) -> Code:
        self._check_client(args)
        code = self._codes.get(args.text("code"))
        if code is None or code.openid is not openid or self._clock.monotonic() > code.expires_at:
            raise SlackError("invalid_code")
        if code.used:
            raise SlackError("code_already_used")
        if args.text("redirect_uri") != code.redirect_uri:
            raise SlackError("bad_redirect_uri")
        if code.challenge and code.challenge != _challenge(args.text("code_verifier")):
            raise SlackError("invalid_code_verifier")
        code.used = True
        return code

    def _check(self, path: str, asked: dict[str, str]) -> None:
        """What Slack looks at before it shows the page."""
        if asked.get("client_id") != self._app.client_id:
            raise SlackError("invalid_client_id")
        redirect = asked.get("redirect_uri", "")
        allowed = self._app.redirect_urls
        if not redirect or (allowed and not any(redirect.startswith(prefix) for prefix in allowed)):
            raise SlackError("bad_redirect_uri")
        scopes = _listed(asked.get("scope", "")).split(",")
        if path == OPENID and ("openid" not in scopes or asked.get("response_type") != "code"):
            raise SlackError("invalid_scope" if "openid" not in scopes else "invalid_response_type")
        if path == AUTHORIZE and not scopes[0]:
            raise SlackError("invalid_scope_requested")

    def _people(self, asked: dict[str, str]) -> list[tuple[Workspace, Person]]:
        """Who could sit in front of the page: the people of each workspace, or of the one that `team` names."""
        worlds = [world for world in self.workspaces if asked.get("team", "") in ("", world.team.id)]
        return [
            (world, person)
            for world in worlds
            for person in world.people.values()
            if not person.is_bot and person.team_id == world.team.id
        ]

    def _somebody(self, asked: dict[str, str], user: str) -> tuple[Workspace, Person]:
        for world, person in self._people(asked):
            if user.casefold() in (person.id.casefold(), person.name, person.real_name.casefold()):
                return world, person
        raise SlackError("user_not_found")

    def _world(self, team_id: str) -> Workspace:
        return next(world for world in self.workspaces if world.team.id == team_id)


def _listed(scope: str) -> str:
    """Scopes separated by commas; Slack takes spaces too."""
    return ",".join(scope.replace(",", " ").split())


def _with(url: str, params: Json) -> str:
    return f"{url}{'&' if urlsplit(url).query else '?'}{urlencode(params)}"


def _challenge(verifier: str) -> str:
    """PKCE's S256."""
    return base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
