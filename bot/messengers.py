"""What the settings tell each messenger's adapter. Each SDK costs a quarter of a second to import: only who connects to
a messenger pays for it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bot.settings import Settings

if TYPE_CHECKING:
    from adapters.slack import InstallSettings, SlackSettings
    from adapters.telegram import TelegramSettings


def has_slack(settings: Settings) -> bool:
    """Whether there is a bot's token, or can be one of an installation."""
    return settings.slack_bot_token is not None or settings.slack_workspaces


def slack_settings(settings: Settings, public_url: str) -> SlackSettings:
    """Where `has_slack`."""
    from adapters.slack import SlackSettings

    bot, signing, app = settings.slack_bot_token, settings.slack_signing_secret, settings.slack_app_token
    return SlackSettings(
        bot_token=bot.get_secret_value() if bot else "",
        signing_secret=signing.get_secret_value() if signing else None,
        app_token=app.get_secret_value() if app else None,
        base_url=settings.slack_base_url,
        install=_install_settings(settings, public_url),
    )


def _install_settings(settings: Settings, public_url: str) -> InstallSettings | None:
    """None where no more workspaces can be connected."""
    if not settings.slack_workspaces or settings.slack_client_id is None or settings.slack_client_secret is None:
        return None
    from adapters.slack import InstallSettings
    from bot.doctor.manifest import bot_scopes

    named = [] if settings.slack_install == "off" else settings.slack_install.replace(" ", "").split(",")
    return InstallSettings(
        client_id=settings.slack_client_id,
        client_secret=settings.slack_client_secret.get_secret_value(),
        public_url=public_url,
        who="anyone" if named == ["anyone"] else frozenset(named),
        scopes=bot_scopes(),
    )


def telegram_settings(settings: Settings, bot_token: str, public_url: str) -> TelegramSettings:
    """Raises ValueError for a token that is not written like one."""
    from adapters.telegram import TelegramSettings

    secret = settings.telegram_webhook_secret
    return TelegramSettings(
        bot_token=bot_token,
        webhook_secret=secret.get_secret_value() if secret else None,
        webhook_url=f"{public_url}/telegram/webhook" if secret else None,
        base_url=settings.telegram_base_url,
        mini_app=settings.telegram_mini_app,
        mini_app_name=settings.telegram_mini_app_name,
    )
