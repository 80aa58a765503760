"""What a person enters in a view's inputs, as `view.state.values` has it."""

from __future__ import annotations

from typing import Any

from bot.sandbox.slack.modals import View
from bot.sandbox.slack.payloads import label
from bot.sandbox.wire import Json

Typed = str | list[str]
ONE = {
    "users_select": "selected_user",
    "conversations_select": "selected_conversation",
    "channels_select": "selected_channel",
    "datepicker": "selected_date",
    "timepicker": "selected_time",
    "datetimepicker": "selected_date_time",
}
MANY = {"multi_users_select": "selected_users", "multi_conversations_select": "selected_conversations"}


def filled_in(view: View, values: dict[str, Typed], *, complete: bool = True) -> Json:
    """`values`: an input's action_id, block_id or label to what is entered; what was entered before stays.

    With `complete`, ValueError names an input that Slack would not let pass: empty though required, or too long.
    """
    state: Json = {}
    for block_id, element, optional in view.inputs():
        action_id = element["action_id"]
        named = [values[name] for name in (action_id, block_id, _label_of(view, block_id)) if name in values]
        typed = named[0] if named else view.typed.get(block_id, _at_first(element))
        if complete:
            _check(element, typed, optional=optional)
        view.typed[block_id] = typed
        state[block_id] = {action_id: _entered(element, typed)}
    return state


def _check(element: Json, typed: Typed, *, optional: bool) -> None:
    action_id = element["action_id"]
    if not typed and not optional:
        raise ValueError(f"the input {action_id!r} is required")
    if element["type"] == "plain_text_input" and typed:
        least, most = int(element.get("min_length", 0)), int(element.get("max_length", 3000))
        if not least <= len(typed) <= most:
            raise ValueError(f"the input {action_id!r} takes {least} to {most} characters, not {len(typed)}")
    if "options" in element and typed and not _chosen(element, typed):
        offered = ", ".join(repr(option["value"]) for option in element["options"])
        raise ValueError(f"the input {action_id!r} offers {offered}, not {typed!r}")


def _at_first(element: Json) -> Typed:
    """What stands in an input before anybody touches it."""
    if "initial_options" in element:
        return [str(option["value"]) for option in element["initial_options"]]
    if "initial_option" in element:
        return str(element["initial_option"]["value"])
    kind = element["type"].removeprefix("multi_")
    for name in ("initial_value", ONE.get(kind, "").replace("selected", "initial")):
        if element.get(name):
            return str(element[name])
    return ""


def _entered(element: Json, typed: Typed) -> Json:
    kind = element["type"]
    if kind in ("checkboxes", "multi_static_select"):
        return {"type": kind, "selected_options": _chosen(element, typed)}
    if "options" in element:
        return {"type": kind, "selected_option": next(iter(_chosen(element, typed)), None)}
    if kind in MANY:
        return {"type": kind, MANY[kind]: _listed(typed)}
    if kind in ONE:
        entered: Any = typed or None
        return {"type": kind, ONE[kind]: int(entered) if entered and kind == "datetimepicker" else entered}
    return {"type": kind, "value": typed or None}


def _chosen(element: Json, typed: Typed) -> list[Json]:
    wanted = _listed(typed)
    return [one for one in element["options"] if one["value"] in wanted or one["text"]["text"] in wanted]


def _listed(typed: Typed) -> list[str]:
    return [typed] if isinstance(typed, str) and typed else list(typed)


def _label_of(view: View, block_id: str) -> str:
    blocks = view.content["blocks"]
    return next(label({"text": block["label"]}) for block in blocks if block["block_id"] == block_id)
