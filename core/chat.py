"""What messengers' adapters are given beside cards: who people are, and what waits for them."""

from __future__ import annotations

from dataclasses import dataclass

from core.directory import Directories
from core.inbox import Inbox
from core.people import People
from core.questions import Questions
from core.sessions import Sessions


@dataclass(frozen=True, slots=True)
class ChatServices:
    """`public_url`: the address that links begin with, without a slash at its end. `language`: where nobody's is
    known.
    """

    people: People
    sessions: Sessions
    inbox: Inbox
    questions: Questions
    directories: Directories
    public_url: str
    language: str = "en"
