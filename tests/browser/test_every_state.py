"""Every state of the review page, in every language: nobody is shut out, in light and dark, wide and narrow.

The suite sees every state once, in both colour schemes and at both widths; the languages take turns. With `--full` it
sees all combinations, and their pictures go to a folder for looking at; the end of the run says where.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from typing import Any, Literal

import pytest
from playwright.async_api import Browser, Page, Route

from api.review.strings import LANGUAGES
from tests.support import axe, gallery
from tests.support.reader import reader_of
from tests.support.review_page import Desk
from tests.support.stages import PLAIN, STATES, Stage

pytestmark = pytest.mark.asyncio(loop_scope="package")

WIDE, NARROW, NARROWEST = 1280, 360, 320  # the last is what is left of a wide page that is shown four times as large
Look = tuple[Literal["light", "dark"], int]
LOOKS: tuple[list[Look], list[Look]] = (
    [("dark", WIDE), ("light", NARROW)],
    [("dark", NARROW), ("light", WIDE)],
)


def _visits() -> Iterator[Any]:
    """Each state in each language, with the looks that the suite has at it; one language of each is the suite's."""
    for n, state in enumerate(STATES):
        for turn, lang in enumerate(LANGUAGES):
            in_suite = turn == n % len(LANGUAGES)
            looks = LOOKS[n // len(LANGUAGES) % 2]
            yield pytest.param(state, lang, looks, id=f"{state}-{lang}", marks=() if in_suite else pytest.mark.full)


@pytest.mark.parametrize(("state", "lang", "looks"), list(_visits()))
async def test_every_state_can_be_used_by_everybody(
    site: Desk, browser: Browser, pytestconfig: pytest.Config, state: str, lang: str, looks: list[Look]
) -> None:
    full = pytestconfig.getoption("full")
    reader = await reader_of(site, browser, viewport={"width": WIDE, "height": 800}, reduced_motion="reduce")
    page, wrong = reader.page, []
    if state in PLAIN:
        await reader.context.route("**/*.js", _abort)
    await STATES[state](Stage(site, reader, lang))
    wrong += await axe.violations(page)
    for scheme, width in [*LOOKS[0], *LOOKS[1]] if full else looks:
        await page.emulate_media(color_scheme=scheme)
        await page.set_viewport_size({"width": width, "height": 800})
        if scheme == "dark":
            wrong += await axe.violations(page, axe.COLOURS)
        wrong += await axe.overflows(page)
        if full:
            await page.screenshot(path=gallery.picture(state, lang, scheme, width), full_page=True)
    wrong += await axe.violations(page, ("target-size",))
    await page.set_viewport_size({"width": NARROWEST, "height": 800})
    for find in (axe.overflows, axe.untouchable, axe.restless, axe.unfocused):
        wrong += await find(page)
    await reader.leave()
    assert [] == wrong


async def _abort(route: Route) -> None:
    await route.abort()


FAULTS: dict[str, tuple[str, Callable[[Page], Awaitable[list[str]]]]] = {
    "a button without a name": ("main.append(document.createElement('button'))", axe.violations),
    "grey on grey": ("main.querySelector('h1').style.color = '#999'", axe.violations),
    "two targets on top of each other": (
        "main.querySelector('.buttons').style.cssText = 'gap: 0; font-size: 3px; --pad: 0'; "
        "for (const one of main.querySelectorAll('.button')) one.style.cssText = 'all: unset'",
        axe.violations,
    ),
    "a wide box": ("main.querySelector('h1').style.width = '2000px'", axe.overflows),
    "a tiny button": (
        "main.querySelector('.button').style.cssText = 'min-height:0;height:20px;padding:0'",
        axe.untouchable,
    ),
    "a button beyond the edge": ("main.querySelector('.button').style.transform = 'translateX(99vw)'", axe.untouchable),
    "no sign of the focus": ("main.querySelector('.button').style.outline = 'none'", axe.unfocused),
    "out of the keyboard's reach": ("main.querySelector('summary').inert = true", axe.unfocused),
    "something that moves": ("main.style.transition = 'all 1s'", axe.restless),
}


@pytest.mark.parametrize("fault", FAULTS)
async def test_a_planted_fault_is_found(site: Desk, browser: Browser, fault: str) -> None:
    plant, find = FAULTS[fault]
    reader = await reader_of(site, browser, reduced_motion="reduce")
    await reader.open(await site.ask())
    assert [] == await find(reader.page)
    await reader.page.evaluate(f"(() => {{ const main = document.getElementById('main'); {plant}; }})()")
    assert [] != await find(reader.page)
    await reader.close()


async def test_what_the_page_s_policy_forbids_is_noticed(site: Desk, browser: Browser) -> None:
    reader = await reader_of(site, browser)
    await reader.open(await site.ask())
    await reader.page.evaluate("document.body.setAttribute('style', 'color: red')")
    with pytest.raises(AssertionError, match="Content Security Policy"):
        await reader.leave()
