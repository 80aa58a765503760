"""Webhooks and callbacks out, to receivers that nobody vouches for; and what agents point to, in."""

from adapters.webhook.fetcher import GuardedFetcher
from adapters.webhook.later import HttpLater
from adapters.webhook.sender import WebhookSender

__all__ = ["GuardedFetcher", "HttpLater", "WebhookSender"]
