"""Settings: the sole reader of the environment and of `.env`. A bad value stops the start and names the key."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlsplit

from pydantic import SecretStr, ValidationError, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from bot.settings_chat import ChatSettings
from bot.settings_server import ServerSettings
from bot.settings_watching import WatchingSettings
from bot.settings_work import WorkSettings
from core.errors import AssentError

OURS = ("ASSENT_", "SLACK_", "TELEGRAM_")  # whoever sets something that begins so means Assent
_ASSIGNED = re.compile(r"^\s*(?:export\s+)?([A-Za-z_]\w*)\s*=", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Wrong:
    """What is wrong with a setting, without its value; `setting` is empty where several do not go together."""

    setting: str
    words: str

    def __str__(self) -> str:
        return f"{self.setting}: {self.words}" if self.setting else self.words


class WrongSetting(AssentError):
    """A setting is wrong."""

    code = "wrong_setting"

    @property
    def problems(self) -> tuple[Wrong, ...]:
        return tuple(self.details.get("problems", ()))


# The last of the bases comes first in docs/settings.md.
class Settings(WatchingSettings, WorkSettings, ChatSettings, ServerSettings, BaseSettings):
    """Everything that can be set from outside. Names are those of the environment, in lower case."""

    model_config = SettingsConfigDict(env_file=".env", env_ignore_empty=True, extra="ignore", str_strip_whitespace=True)

    @model_validator(mode="after")
    def _engine_on_postgresql(self) -> Self:
        if self.run_engine == "dbos" and self.on_sqlite:
            raise ValueError("RUN_ENGINE: dbos needs PostgreSQL (DATABASE_URL); on SQLite choose rows")
        return self


def read_settings(**given: Any) -> Settings:
    """The settings of the environment, with what the command line gave on top. Raises WrongSetting."""
    try:
        return Settings(**{key: value for key, value in given.items() if value is not None})
    except ValidationError as error:
        problems = tuple(map(_in_words, error.errors()))
        raise WrongSetting("; ".join(map(str, problems)), problems=problems) from None


def _in_words(problem: Any) -> Wrong:
    # Pydantic's own text would quote the value, which may be a secret.
    key = str(problem["loc"][0]).upper() if problem["loc"] else ""
    return Wrong(key, str(problem["msg"]).removeprefix("Value error, "))


def strangers() -> list[str]:
    """What is set, in `.env` or by a name that begins as ours do, and is no setting. Names only."""
    file = Path(str(Settings.model_config["env_file"]))
    kept = _ASSIGNED.findall(file.read_text(errors="replace")) if file.is_file() else []
    named = {*kept, *(name for name in os.environ if name.startswith(OURS))}
    return sorted(name for name in named if name.lower() not in Settings.model_fields)


def secrets_of(settings: Settings) -> Iterator[str]:
    """Every secret that the settings hold, raw, to be looked for in what is shown."""
    for value in (getattr(settings, name) for name in Settings.model_fields):
        yield from (one.get_secret_value() for one in _listed(value) if isinstance(one, SecretStr))
    if password := urlsplit(settings.database_url).password:
        yield password


def _listed(value: object) -> tuple[object, ...]:
    return value if isinstance(value, tuple) else (value,)
