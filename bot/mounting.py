"""Assent within somebody else's ASGI application. No server runs the lifespan of an application that is mounted, so the
outer one has to: `docs/mounting.md` shows how.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from starlette.applications import Starlette

from api.app import build_app
from bot.compose import assemble
from bot.roles import ROLES, Role
from bot.settings import Settings, WrongSetting
from bot.working import working


def mountable(settings: Settings, roles: tuple[Role, ...] = ROLES) -> Starlette:
    """All doors as one application, whose lifespan opens the database and runs the workers of `roles`. The database is
    migrated. Raises WrongSetting without a PUBLIC_URL, which has the path that it is mounted at.
    """
    if not settings.public_url:
        raise WrongSetting("PUBLIC_URL: set the address with the path that Assent is mounted at")
    assembly = assemble(settings, roles, settings.public_url)

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        async with working(assembly):
            try:
                yield
            finally:
                app.state.streams.close()

    routes = [route for adapter in assembly.adapters for route in adapter.routes]
    return build_app(
        assembly.services,
        doors="api" in roles,
        extra_routes=routes,
        beating=assembly.beating,
        lifespan=lifespan,
        scraped=assembly.scraped,
        watch=assembly.watch,
    )
