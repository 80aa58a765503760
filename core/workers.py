"""The outbox of one messenger, by what is sent: cards, the notices beside them, the digests of busy chats."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from core.cards import Cards, Claimed
from core.checkpoints import checkpoint
from core.digests import ClaimedDigest, Digests
from core.hub import Hub
from core.model import Address, Case
from core.notices import ClaimedNotice, Notices
from core.outbox import OutboxWorker, Ref
from core.ports import Messenger, SendFailed


class CardWorker(OutboxWorker[Claimed]):
    kind = "card"

    def __init__(
        self,
        cards: Cards,
        messenger: Messenger,
        hub: Hub,
        **options: Any,
    ) -> None:
        super().__init__(messenger, hub, **options)
        self._cards = cards

    async def _next_due(self) -> int | None:
        return await self._cards.next_due(self._messenger.platform)

    async def _claim(self, limit: int) -> Sequence[Claimed]:
        platform, shows_whole = self._messenger.platform, self._messenger.shows_whole
        return await self._cards.claim(platform, limit, self._pace, shows_whole=shows_whole)

    def _way(self, job: Claimed) -> Literal["post", "update"]:
        return "post" if job.ref.message is None else "update"

    def _about(self, job: Claimed) -> dict[str, str]:
        return _of_case(job.ref, job.case)

    async def _hush(self, address: Address, ms: int) -> None:
        await self._cards.hush(address, ms)

    async def _send(self, job: Claimed) -> str:
        ref = job.ref
        message = ref.message
        if message is None and ref.doubtful:
            message = await self._messenger.find(ref.address, job.card)
        checkpoint("card.before_send")
        if message is None:
            return await self._messenger.post(ref.address, job.card)
        await self._messenger.update(ref.address, message, job.card)
        return message

    async def _save(self, job: Claimed, message: str) -> None:
        await self._cards.shown(job, message)

    async def _moved(self, job: Claimed, channel: str) -> None:
        await self._cards.moved(job.ref, channel)

    async def _postpone(
        self, job: Claimed, delay_ms: int, failed: SendFailed | None = None, *, dead: bool = False
    ) -> None:
        await self._cards.postpone(
            job.ref,
            delay_ms,
            error=failed.message if failed else None,
            dead=dead,
            sent=failed is not None,
            uncertain=failed is not None and failed.uncertain,
        )


class NoticeWorker(OutboxWorker[ClaimedNotice]):
    kind = "notice"

    def __init__(
        self,
        notices: Notices,
        cards: Cards,
        messenger: Messenger,
        hub: Hub,
        **options: Any,
    ) -> None:
        super().__init__(messenger, hub, **options)
        self._notices = notices
        self._cards = cards

    async def _next_due(self) -> int | None:
        return await self._notices.next_due(self._messenger.platform)

    async def _claim(self, limit: int) -> Sequence[ClaimedNotice]:
        return await self._notices.claim(self._messenger.platform, limit, self._pace)

    def _way(self, job: ClaimedNotice) -> Literal["post", "update"]:
        return "post"

    def _about(self, job: ClaimedNotice) -> dict[str, str]:
        return _of_case(job.ref, job.case)

    async def _hush(self, address: Address, ms: int) -> None:
        await self._cards.hush(address, ms)

    async def _send(self, job: ClaimedNotice) -> str:
        checkpoint("notice.before_send")
        return await self._messenger.remind(job.ref.address, job.message, job.notice)

    async def _save(self, job: ClaimedNotice, message: str) -> None:
        await self._notices.sent(job.ref, message)

    async def _moved(self, job: ClaimedNotice, channel: str) -> None:
        """The card is posted anew where the chat is now, and so reminds by itself."""
        await self._cards.moved(job.ref.card, channel)
        await self._notices.postpone(job.ref, 0, error="the card was posted anew in the chat's new place", dead=True)
        self._hub.wake("cards")

    async def _postpone(
        self, job: ClaimedNotice, delay_ms: int, failed: SendFailed | None = None, *, dead: bool = False
    ) -> None:
        await self._notices.postpone(
            job.ref, delay_ms, error=failed.message if failed else None, dead=dead, sent=failed is not None
        )


class DigestWorker(OutboxWorker[ClaimedDigest]):
    """Posts, redraws and ends the digests of busy chats."""

    kind = "digest"
    rescan = 2.0

    def __init__(self, digests: Digests, cards: Cards, messenger: Messenger, hub: Hub, **options: Any) -> None:
        super().__init__(messenger, hub, **options)
        self._digests = digests
        self._cards = cards

    async def _next_due(self) -> int | None:
        return await self._digests.next_due(self._messenger.platform)

    async def _claim(self, limit: int) -> Sequence[ClaimedDigest]:
        return await self._digests.claim(self._messenger.platform, limit, self._pace)

    def _way(self, job: ClaimedDigest) -> Literal["post", "update"]:
        return "post" if job.ref.message is None else "update"

    def _about(self, job: ClaimedDigest) -> dict[str, str]:
        return {"card_id": job.ref.card_id}

    async def _hush(self, address: Address, ms: int) -> None:
        await self._cards.hush(address, ms)

    async def _send(self, job: ClaimedDigest) -> str:
        ref = job.ref
        message = ref.message
        if message is None and ref.doubtful:
            message = await self._messenger.find(ref.address, job.digest)
        if message is None and job.digest.over:
            return ""  # it never stood there, and need not any more
        checkpoint("digest.before_send")
        return await self._messenger.digest(ref.address, job.digest, message)

    async def _save(self, job: ClaimedDigest, message: str) -> None:
        await self._digests.shown(job, message)

    async def _moved(self, job: ClaimedDigest, channel: str) -> None:
        """What waits moves along with a card, and gets a digest of its own there."""
        if job.digest.over:
            await self._digests.shown(job, job.ref.message or "")
        else:
            await self._digests.postpone(job.ref, 0, dead=True)

    async def _postpone(
        self, job: ClaimedDigest, delay_ms: int, failed: SendFailed | None = None, *, dead: bool = False
    ) -> None:
        uncertain = failed is not None and failed.uncertain
        await self._digests.postpone(job.ref, delay_ms, dead=dead, sent=failed is not None, uncertain=uncertain)


def _of_case(ref: Ref, case: Case) -> dict[str, str]:
    return {"card_id": ref.card_id, "case_id": case.case_id, "tenant_id": case.tenant_id}
