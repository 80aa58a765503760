"""Webhooks and callbacks out, to receivers that nobody vouches for; and what agents point to, in."""

from adapters.webhook.fetcher import GuardedFetcher
from adapters.webhook.guarded import GuardedHttp
from adapters.webhook.sender import WebhookSender

__all__ = ["GuardedFetcher", "GuardedHttp", "WebhookSender"]
