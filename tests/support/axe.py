"""What can be measured of how usable a page is: axe-core at WCAG 2.2 AA, and what it does not look at.

Each function says what is wrong, one line each; an empty list is a page without fault. They run past the page's
Content-Security-Policy, as the browser's own tools do.
"""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from typing import Any

from playwright.async_api import Page

WCAG_22_AA = ("wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22a", "wcag22aa")
COLOURS = ("color-contrast", "link-in-text-block")
"""The rules that another colour scheme can break."""

_RUN = """async (runOnly) => {
    const { violations } = await axe.run({ runOnly, resultTypes: ["violations"], elementRef: false });
    return violations.flatMap(({ id, nodes }) => nodes.map((one) => [id, one.html.slice(0, 200), one.failureSummary]));
}"""
_OVERFLOW = """() => {
    const width = document.documentElement.clientWidth;
    if (document.documentElement.scrollWidth <= width) return [];
    return [...document.body.querySelectorAll("*")]
        .filter((one) => one.getBoundingClientRect().right > width + 0.5).slice(-3)
        .map((one) => `${one.outerHTML.slice(0, 120)} ends at ${one.getBoundingClientRect().right} of ${width}`);
}"""
_UNTOUCHABLE = """() => [...document.querySelectorAll("button, summary, select, textarea, input:not([type=hidden])")]
    .filter((one) => one.checkVisibility({ visibilityProperty: true }) && !one.matches("[type=radio], [type=checkbox]"))
    .filter((one) => {
        const { width, height, left, right } = one.getBoundingClientRect();
        return width < 24 || height < 24 || left < 0 || right > document.documentElement.clientWidth;
    })
    .map((one) => `${one.outerHTML.slice(0, 120)} can hardly be touched`)"""
_BLIND = """() => [...document.querySelectorAll("a[href], button, summary, select, textarea, input, [tabindex='0']")]
    .filter((one) => !one.disabled && one.type !== "hidden" && one.checkVisibility({ visibilityProperty: true }))
    .filter((one) => {
        one.focus();
        if (document.activeElement !== one) return true;
        const seen = (element) => {
            const { outlineStyle, outlineWidth } = getComputedStyle(element);
            return outlineStyle !== "none" && parseFloat(outlineWidth) >= 2;
        };
        return !seen(one) && !seen(one.closest(".choice, .choosable") ?? one);
    })
    .map((one) => `${one.outerHTML.slice(0, 120)} does not show that it has the focus`)"""
_MOVING = """() => [...document.querySelectorAll("*")]
    .filter((one) => {
        const { transitionDuration, animationName, scrollBehavior } = getComputedStyle(one);
        return /[1-9]/.test(transitionDuration) || animationName !== "none" || scrollBehavior === "smooth";
    })
    .map((one) => `${one.outerHTML.slice(0, 120)} moves`)"""


@cache
def _source() -> str:
    return files("axe_playwright_python").joinpath("axe.min.js").read_text(encoding="utf-8")


async def violations(page: Page, rules: tuple[str, ...] = ()) -> list[str]:
    """What axe-core finds by these rules, or by all of WCAG 2.2 AA; the page is not scrolled and not changed."""
    if not await page.evaluate("'axe' in window"):
        await page.evaluate(_source())
    only: dict[str, Any] = {"type": "rule" if rules else "tag", "values": list(rules or WCAG_22_AA)}
    return [": ".join(parts) for parts in await page.evaluate(_RUN, only)]


async def overflows(page: Page) -> list[str]:
    """What makes the page scroll sideways at its present width."""
    return list(await page.evaluate(_OVERFLOW))


async def untouchable(page: Page) -> list[str]:
    """Controls of less than 24 by 24 pixels (2.5.8), boxes and radio buttons excepted, or beyond the page's edges."""
    return list(await page.evaluate(_UNTOUCHABLE))


async def unfocused(page: Page) -> list[str]:
    """Controls that a keyboard cannot reach or that do not show it (2.4.7). Moves the focus."""
    await page.keyboard.press("Tab")  # from here on the browser shows the focus
    return list(await page.evaluate(_BLIND))


async def restless(page: Page) -> list[str]:
    """What moves, for a reader who has asked for less of that (2.3.3)."""
    return list(await page.evaluate(_MOVING))
