"""Where requests are counted: in Redis where one is configured, else in PostgreSQL, else in this process alone.

The library that counts (`limits`) is imported by whoever counts, and not before.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, cast

from bot.settings import Settings, WrongSetting
from core.errors import Unavailable
from core.ledger import Database
from core.limits import OFF, Hit, Limits, Windows, parse_rates

if TYPE_CHECKING:
    from collections.abc import Collection

    from limits.aio.storage import MemoryStorage
    from limits.aio.storage.redis import RedisStorage

REDIS_SECONDS = 1.0  # Redis answers at once or not at all: requests wait for it


def rate_limits(settings: Settings, database: Database, doors: Collection[str]) -> Limits:
    """The limits of the settings for these doors. Raises WrongSetting."""
    rates = parse_rates(settings.rate_limits)
    if unknown := [door for door in rates.doors if door not in doors]:
        raise WrongSetting(f"RATE_LIMITS: there is no door {unknown[0]}; choose from {', '.join(sorted(doors))}")
    if rates == OFF:
        return Limits()
    return Limits(rates, _windows(settings, database))


def _windows(settings: Settings, database: Database) -> Windows:
    if settings.rate_limits_redis_url is not None:
        return redis_windows(settings.rate_limits_redis_url.get_secret_value())
    if settings.on_sqlite:
        return memory_windows()
    from core.ledger.rate_windows import RateWindows

    return RateWindows(database)


def memory_windows() -> Windows:
    from limits.aio.storage import MemoryStorage

    return _Memory(MemoryStorage())


def redis_windows(url: str) -> Windows:
    """Raises WrongSetting when the extra `redis` is not installed."""
    from limits.aio.storage.redis import RedisStorage
    from limits.errors import ConfigurationError

    try:
        return _Redis(
            RedisStorage(
                f"async+{url}",
                wrap_exceptions=True,
                implementation="redispy",
                key_prefix="assent",
                socket_timeout=REDIS_SECONDS,
                socket_connect_timeout=REDIS_SECONDS,
            )
        )
    except ConfigurationError:
        raise WrongSetting("RATE_LIMITS_REDIS_URL: install the package redis, Assent's extra of that name") from None


class _Memory:
    """One process, which counts for itself."""

    def __init__(self, storage: MemoryStorage) -> None:
        self._storage = storage

    async def hit(self, key: str, seconds: int, amount: int, /) -> Hit:
        count = await self._storage.incr(key, seconds, amount)
        return Hit(count, await self._storage.get_expiry(key) - time.time())

    async def close(self) -> None:
        """Nothing to let go of."""


class _Redis:
    """All processes that are told of this Redis."""

    def __init__(self, storage: RedisStorage) -> None:
        self._storage = storage
        self._redis = cast(Any, storage.bridge).get_connection()

    async def hit(self, key: str, seconds: int, amount: int, /) -> Hit:
        from limits.errors import StorageError

        try:
            count = await self._storage.incr(key, seconds, amount)
            # Not the storage's get_expiry: that is rounded to the nearest second, so half the time too early.
            left = await self._redis.pttl(self._storage.bridge.prefixed_key(key))
        except (StorageError, OSError) as error:
            raise Unavailable("Redis cannot be reached") from error
        return Hit(count, left / 1000)

    async def close(self) -> None:
        await self._redis.aclose()
