"""Slack's limits on blocks, checked as Slack checks them: every complaint names the place by JSON pointer.

Source: https://docs.slack.dev/reference/block-kit, and for the sum of all text (undocumented, measured by
apps at about 13,200 characters) https://github.com/slackapi/bolt-js/issues/2509.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable, Iterator
from typing import Any

from bot.sandbox.wire import Json

MESSAGE_BLOCKS = 50
VIEW_BLOCKS = 100
TOTAL_TEXT = 13_200
MESSAGE_TEXT = 40_000
UPDATE_TEXT = 4_000
SELECTS = ("static_select", "users_select", "conversations_select", "channels_select", "external_select")
PICKERS = ("datepicker", "timepicker", "datetimepicker", "radio_buttons", "checkboxes")
MENUS = (*SELECTS, *(f"multi_{kind}" for kind in SELECTS))
TYPED = ("plain_text_input", "number_input", "email_text_input", "url_text_input", "rich_text_input", "file_input")
IN_ACTIONS = ("button", "overflow", *PICKERS, *SELECTS)
IN_INPUTS = (*TYPED, *PICKERS, *MENUS)
AS_ACCESSORY = ("image", "button", "overflow", *PICKERS, *MENUS)
IN_RICH_TEXT = ("rich_text_section", "rich_text_list", "rich_text_quote", "rich_text_preformatted")
IN_PREFORMATTED = ("text", "link")
IN_SECTIONS = (*IN_PREFORMATTED, "user", "usergroup", "channel", "broadcast", "emoji", "color", "date", "team")
DATE_TOKENS = frozenset(
    f"{{{token}}}"
    for token in (
        "day_divider_pretty", "date_num", "date_slash", "date_long", "date_long_full", "date_long_pretty", "date",
        "date_pretty", "date_short", "date_short_pretty", "time", "time_secs", "ago",
    )
)  # fmt: skip
IN_BRACES = re.compile(r"\{[^{}]*\}")
MOST_OPTIONS = {"overflow": 5, "radio_buttons": 10, "checkboxes": 10}


class BlockCheck:
    """Collects complaints about one list of blocks."""

    def __init__(self, surface: str = "message") -> None:
        self.surface = surface
        self.complaints: list[str] = []
        self._block_ids: set[str] = set()

    def check(self, blocks: list[Any]) -> list[str]:
        limit = MESSAGE_BLOCKS if self.surface == "message" else VIEW_BLOCKS
        if len(blocks) > limit:
            self._complain(f"no more than {limit} items allowed", "/blocks")
        for index, block in enumerate(blocks):
            self._block(block, f"/blocks/{index}")
        return self.complaints

    def _complain(self, what: str, where: str) -> None:
        self.complaints.append(f"{what} [json-pointer:{where}]")

    def _block(self, block: Any, at: str) -> None:
        kinds: dict[str, Callable[[Json, str], None]] = {
            "section": self._section,
            "header": self._header,
            "context": self._context,
            "actions": self._actions,
            "image": self._image,
            "input": self._input,
            "rich_text": self._rich_text,
        }
        kind = block.get("type") if isinstance(block, dict) else None
        if kind not in kinds and kind not in ("divider", "markdown"):
            return self._complain(f"unsupported type: {kind}", f"{at}/type")
        block_id = block.get("block_id")
        if block_id is not None:
            self._string(block_id, f"{at}/block_id", 255)
            if block_id in self._block_ids:
                self._complain(f"`block_id` must be unique: {block_id}", f"{at}/block_id")
            self._block_ids.add(str(block_id))
        if kind in kinds:
            kinds[kind](block, at)

    def _section(self, block: Json, at: str) -> None:
        self._only(block, at, "text", "fields", "accessory", "expand")
        if "text" not in block and "fields" not in block:
            self._complain("missing required field: text or fields", at)
        if "text" in block:
            self._text(block["text"], f"{at}/text", 3000)
        fields = block.get("fields", [])
        if len(fields) > 10:
            self._complain("no more than 10 items allowed", f"{at}/fields")
        for index, item in enumerate(fields):
            self._text(item, f"{at}/fields/{index}", 2000)
        if "accessory" in block:
            self._element(block["accessory"], f"{at}/accessory", AS_ACCESSORY)

    def _header(self, block: Json, at: str) -> None:
        self._only(block, at, "text", "level")
        self._text(block.get("text"), f"{at}/text", 150, plain_only=True)

    def _context(self, block: Json, at: str) -> None:
        self._only(block, at, "elements")
        for element, place in self._elements(block, at, 10):
            if isinstance(element, dict) and element.get("type") == "image":
                self._image_fields(element, place)
            else:
                self._text(element, place, 3000)

    def _rich_text(self, block: Json, at: str) -> None:
        self._only(block, at, "elements")
        for element, place in self._elements(block, at, 1000):
            if self._kind(element, place, IN_RICH_TEXT):
                self._rich_lines(element, place)

    def _rich_lines(self, element: Json, at: str) -> None:
        kind = element["type"]
        allowed = ("rich_text_section",) if kind == "rich_text_list" else IN_SECTIONS
        for one, place in self._elements(element, at, 1000):
            if not self._kind(one, place, IN_PREFORMATTED if kind == "rich_text_preformatted" else allowed):
                continue
            if one["type"] == "rich_text_section":
                self._rich_lines(one, place)
            elif one["type"] == "text":
                self._string(one.get("text"), f"{place}/text", MESSAGE_TEXT)
            elif one["type"] == "link":
                self._string(one.get("url"), f"{place}/url", 3000)
            elif one["type"] == "date":
                self._date(one, place)

    def _kind(self, element: Any, at: str, allowed: tuple[str, ...]) -> bool:
        kind = element.get("type") if isinstance(element, dict) else None
        if kind not in allowed:
            self._complain(f"unsupported type: {kind}", f"{at}/type")
        return kind in allowed

    def _date(self, date: Json, at: str) -> None:
        self._only(date, at, "timestamp", "format", "timezone", "url", "fallback", "style")
        if type(date.get("timestamp")) is not int:
            self._complain("must provide an integer", f"{at}/timestamp")
        self._string(date.get("format"), f"{at}/format", 3000)
        tokens = set(IN_BRACES.findall(str(date.get("format"))))
        if not tokens or tokens - DATE_TOKENS:
            self._complain("must be made of known tokens", f"{at}/format")
        for name in ("fallback", "url"):
            if name in date:
                self._string(date[name], f"{at}/{name}", 3000)

    def _actions(self, block: Json, at: str) -> None:
        self._only(block, at, "elements")
        seen: set[str] = set()
        for element, place in self._elements(block, at, 25):
            self._element(element, place, IN_ACTIONS)
            action_id = str(element.get("action_id", "")) if isinstance(element, dict) else ""
            if action_id and action_id in seen:
                self._complain(f"`action_id` must be unique within the block: {action_id}", f"{place}/action_id")
            seen.add(action_id)

    def _image(self, block: Json, at: str) -> None:
        self._only(block, at, "image_url", "slack_file", "alt_text", "title")
        self._image_fields(block, at)

    def _image_fields(self, image: Json, at: str) -> None:
        self._string(image.get("alt_text"), f"{at}/alt_text", 2000, empty=True)
        if "slack_file" not in image:
            self._string(image.get("image_url"), f"{at}/image_url", 3000)

    def _input(self, block: Json, at: str) -> None:
        self._only(block, at, "label", "element", "hint", "optional", "dispatch_action")
        self._text(block.get("label"), f"{at}/label", 2000, plain_only=True)
        if "hint" in block:
            self._text(block["hint"], f"{at}/hint", 2000, plain_only=True)
        if isinstance(block.get("element"), dict):
            self._element(block["element"], f"{at}/element", IN_INPUTS)
        else:
            self._complain("missing required field: element", at)

    def _elements(self, block: Json, at: str, limit: int) -> Iterator[tuple[Any, str]]:
        elements = block.get("elements")
        if not isinstance(elements, list) or not elements:
            return self._complain("missing required field: elements", at)
        if len(elements) > limit:
            self._complain(f"no more than {limit} items allowed", f"{at}/elements")
        for index, element in enumerate(elements):
            yield element, f"{at}/elements/{index}"

    def _element(self, element: Any, at: str, allowed: tuple[str, ...]) -> None:
        if not isinstance(element, dict) or not isinstance(element.get("type"), str):
            return self._complain("missing required field: type", at)
        kind = element["type"]
        if kind not in allowed:
            return self._complain(f"unsupported type: {kind}", f"{at}/type")
        if kind == "image":
            return self._image_fields(element, at)
        if "action_id" in element:
            self._string(element["action_id"], f"{at}/action_id", 255)
        if kind == "button":
            self._button(element, at)
        if kind in ("static_select", "multi_static_select", "overflow", "radio_buttons", "checkboxes"):
            self._options(element, at)
        if kind == "plain_text_input":
            self._typed(element, at)
        if "placeholder" in element:
            self._text(element["placeholder"], f"{at}/placeholder", 150, plain_only=True)
        if "confirm" in element:
            self._confirm(element["confirm"], f"{at}/confirm")

    def _options(self, element: Json, at: str) -> None:
        if "option_groups" in element:
            return
        options = element.get("options")
        if not isinstance(options, list) or not options:
            return self._complain("missing required field: options", at)
        if len(options) > (most := MOST_OPTIONS.get(element["type"], 100)):
            self._complain(f"no more than {most} items allowed", f"{at}/options")
        for index, option in enumerate(options):
            self._option(option, f"{at}/options/{index}")
        if element.get("initial_option", options[0]) not in options:
            self._complain("must be one of the options", f"{at}/initial_option")
        if any(chosen not in options for chosen in element.get("initial_options", [])):
            self._complain("must be among the options", f"{at}/initial_options")

    def _option(self, option: Any, at: str) -> None:
        if not isinstance(option, dict):
            return self._complain("must be an object", at)
        self._only(option, at, "text", "value", "description", "url")
        self._text(option.get("text"), f"{at}/text", 75)
        self._string(option.get("value"), f"{at}/value", 150)
        if "description" in option:
            self._text(option["description"], f"{at}/description", 75)

    def _typed(self, element: Json, at: str) -> None:
        for name, least in (("min_length", 0), ("max_length", 1)):
            if not least <= int(element.get(name, 3000)) <= 3000:
                self._complain(f"must be between {least} and 3000", f"{at}/{name}")
        if len(str(element.get("initial_value") or "")) > 3000:
            self._complain("must be less than 3001 characters", f"{at}/initial_value")

    def _confirm(self, confirm: Any, at: str) -> None:
        if not isinstance(confirm, dict):
            return self._complain("must be an object", at)
        for name, limit in (("title", 100), ("text", 300), ("confirm", 30), ("deny", 30)):
            if name in confirm or name in ("title", "text"):
                self._text(confirm.get(name), f"{at}/{name}", limit, plain_only=name != "text")

    def _button(self, button: Json, at: str) -> None:
        allowed = ("text", "action_id", "url", "value", "style", "confirm", "accessibility_label")
        self._only(button, at, *allowed)
        self._text(button.get("text"), f"{at}/text", 75, plain_only=True)
        for name, limit in (("value", 2000), ("url", 3000), ("accessibility_label", 75)):
            if name in button:
                self._string(button[name], f"{at}/{name}", limit)
        url = str(button.get("url", "https://"))
        if "://" not in url and not url.startswith("mailto:"):
            self._complain("must be a valid URL", f"{at}/url")
        if button.get("style", "primary") not in ("primary", "danger"):
            self._complain("must be one of primary, danger", f"{at}/style")

    def _text(self, text: Any, at: str, limit: int, *, plain_only: bool = False) -> None:
        if not isinstance(text, dict):
            return self._complain("missing required field: text", at)
        allowed = ("plain_text",) if plain_only else ("plain_text", "mrkdwn")
        if text.get("type") not in allowed:
            self._complain(f"must be one of {', '.join(allowed)}", f"{at}/type")
        self._only(text, at, "text", "emoji" if text.get("type") == "plain_text" else "verbatim")
        self._string(text.get("text"), f"{at}/text", limit)

    def _string(self, value: Any, at: str, limit: int, *, empty: bool = False) -> None:
        if not isinstance(value, str):
            self._complain("must be a string", at)
        elif not value and not empty:
            self._complain("must be more than 0 characters", at)
        elif len(value) > limit:
            self._complain(f"must be less than {limit + 1} characters", at)

    def _only(self, thing: Json, at: str, *allowed: str) -> None:
        for name in thing.keys() - {*allowed, "type", "block_id"}:
            self._complain(f"invalid additional property: {name}", at)


def text_length(blocks: Any) -> int:
    """The characters of all texts in blocks, wherever they stand; of a time, those that stand for it."""
    if isinstance(blocks, dict):
        own = sum(len(blocks[name]) for name in ("text", "fallback") if isinstance(blocks.get(name), str))
        return own + sum(text_length(value) for value in blocks.values())
    if isinstance(blocks, list):
        return sum(text_length(item) for item in blocks)
    return 0


def with_ids(blocks: list[Json]) -> list[Json]:
    """The blocks as Slack stores them: every block has an id, every button an action id."""
    return [_with_id(block) for block in blocks]


def _with_id(block: Json) -> Json:
    stored: Json = {"block_id": secrets.token_urlsafe(4)} | block
    if block.get("type") == "actions":
        stored["elements"] = [{"action_id": secrets.token_urlsafe(4)} | element for element in block["elements"]]
    if block.get("type") == "input":
        stored["element"] = {"action_id": secrets.token_urlsafe(4)} | block["element"]
    if isinstance(block.get("accessory"), dict) and block["accessory"]["type"] != "image":
        stored["accessory"] = {"action_id": secrets.token_urlsafe(4)} | block["accessory"]
    return stored
