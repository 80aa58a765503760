"""The steps that ask nobody outside: settings, database, secret key, and the server at PUBLIC_URL."""

from __future__ import annotations

import asyncio
from pathlib import Path

import httpx

from bot.doctor import address, clocks, database, installed
from bot.doctor.findings import Level, ok, refused
from bot.doctor.known import Findings, Known
from bot.flows import load_flows
from bot.policies import load_policies
from bot.secret_key import key_file, key_ring
from bot.settings import WrongSetting, strangers
from core import checkup
from core.checkup import OnPostgres, OnSqlite
from core.errors import Unavailable
from core.hub import Hub
from core.installations import Installations
from core.ledger import REVISION, Database, open_database
from core.ledger.migrate import revision
from core.signing import jwks


async def settings(known: Known) -> Findings:
    found = installed.misspelt(strangers())
    try:
        known.rules = load_policies(known.settings.policies_dir).current.rules
    except WrongSetting as error:
        fix = "Correct it; `assent policy check` says the same without a restart"
        found.append(refused("settings.policies", error.message, fix))
    try:
        load_flows(known.settings.flows_dir)
    except WrongSetting as error:
        found.append(refused("settings.flows", error.message, "Correct it, then start Assent again"))
    for one in found or [ok("settings.values", "Every value can be read; policies and flows load.")]:
        yield one


async def the_database(known: Known) -> Findings:
    url, seen = known.settings.database_url, None
    if known.settings.on_sqlite:
        seen = database.file_seen(Path(url.removeprefix("sqlite:///")))
        for one in database.file(seen):
            yield one
        if seen.mode is None:
            return
    try:
        at = database.schema(await asyncio.to_thread(revision, url), REVISION)
        yield at
        if at.level is not Level.OK:
            return
        opened = open_database(url, pool_size=2)
        await opened.start(Hub())
        try:
            async for one in _inside(known, opened, seen):
                yield one
        finally:
            await opened.close()
    except Unavailable as error:
        yield database.not_reached(url, error.message)


async def _inside(known: Known, opened: Database, seen: database.FileSeen | None) -> Findings:
    known.condition = condition = await checkup.condition(opened)
    if isinstance(condition, OnSqlite) and seen is not None:
        for one in database.sqlite(condition, seen.size, seen.free):
            yield one
    elif isinstance(condition, OnPostgres):
        for one in database.postgres(condition, known.settings.database_pool):
            yield one
        began = known.clock()
        theirs = await checkup.now(opened)
        known.clocks.append(clocks.against_database(round((began + known.clock()) * 500) - theirs))
    _read_key(known)
    known.found = await checkup.look(opened, known.ring, known.settings.retention_days)
    if known.ring is not None and known.settings.slack_workspaces:
        known.workspaces = tuple(await Installations(opened, known.ring).all())


def _read_key(known: Known) -> str:
    """The key ring, where there is a key: looking for one makes none. What is wrong with it, else nothing."""
    if known.settings.assent_secret_key or key_file(known.settings).exists():
        try:
            known.ring = key_ring(known.settings)
        except WrongSetting as error:
            return error.message
    return ""


async def secret_key(known: Known) -> Findings:
    if problem := _read_key(known):
        yield refused("secret_key.kept", problem, "Put the right file back, or set ASSENT_SECRET_KEY")
        return
    file = key_file(known.settings)
    seen = installed.KeySeen(
        given=len(known.settings.assent_secret_key),
        file=file,
        mode=file.stat().st_mode & 0o777 if file.exists() else None,
        on_sqlite=known.settings.on_sqlite,
        machines=known.condition.machines if isinstance(known.condition, OnPostgres) else 1,
        used=known.found is not None and known.found.sealed > 0,
    )
    for one in installed.secret_key(seen):
        yield one
    for one in installed.unopened(known.found.unopened if known.found else {}):
        yield one


async def the_address(known: Known) -> Findings:
    for one in address.chosen(known.settings):
        yield one
    if not known.settings.public_url and not known.settings.port:
        return  # a free port at each start: nobody knows which
    verify = httpx.create_ssl_context(trust_env=False)
    async with httpx.AsyncClient(timeout=address.SECONDS, trust_env=False, verify=verify) as http:
        ours = None if known.ring is None else jwks(known.ring)
        known.server = await address.look(address.Asking(known.url, http), known.settings, ours)
    for one in address.answers(known.url, known.server, given=bool(known.settings.public_url)):
        yield one
