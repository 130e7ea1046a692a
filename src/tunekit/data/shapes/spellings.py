"""Messages in other spellings than OpenAI's, restated in that one before any shape reads them. Knows no shape.

Other names of roles (`human`, `gpt`, `Assistant`); parts of OpenAI's Responses API; what logs and SDKs put on a message
that says nothing to learn (`id`, `timestamp`); gpt-oss's channels. Everything else stays as it is, for the shapes to
read or refuse. The source is OpenAI's API description (schemas `InputMessage` and `OutputMessage`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tunekit.data import json_text
from tunekit.data.shapes import harmony
from tunekit.data.shapes.remarks import Remark
from tunekit.data.wording import brief
from tunekit.errors import DataError
from tunekit.examples import ROLES

_WITH_ROLES = (
    *("messages", "interactions", "prompt", "completion", "chosen", "rejected"),
    *("chosen_messages", "rejected_messages", "preferred_output", "non_preferred_output"),
)
_WITH_SPEAKERS = ("conversations", "conversation")
"""ShareGPT's lists, whose own reader knows the names of speakers."""
_IN_CELLS = ("messages", "interactions", *_WITH_SPEAKERS)
_ROLES: Mapping[str, str] = {
    **{role: role for role in ROLES},
    "human": "user",
    **dict.fromkeys(("gpt", "bot", "ai", "model"), "assistant"),
}
_LISTS = frozenset({*_WITH_ROLES, *_WITH_SPEAKERS})
_KEYS = _LISTS | {"input"}
_PLAIN = frozenset(
    {"role", "content", "from", "value", "name", "weight", "tool_calls", "tool_call_id", "reasoning_content"}
)
_ABOUT = frozenset(
    {"id", "timestamp", "created", "created_at", "updated_at", "model", "metadata", "annotations"}
)
# What the Responses API writes on every message; another value would say something.
_CONSTANT = {"type": "message", "status": "completed"}
_EMPTY: tuple[Any, ...] = (None, [], {}, "")
_FILE_KEYS = ("file_id", "file_data", "filename")


def restated(record: Mapping[str, Any]) -> tuple[Mapping[str, Any], list[Remark]]:
    """The record with its messages in OpenAI's spelling, and what was restated; the same record if nothing was.

    Raises:
        DataError: A message has a channel or a part that has no place in a chat.

    Examples:
        >>> record, remarks = restated({"messages": [{"role": "human", "content": "hi"}]})
        >>> record["messages"], remarks[0].what
        ([{'role': 'user', 'content': 'hi'}], "the role 'human' as 'user'")
    """
    remarks: list[Remark] = []
    if _KEYS.isdisjoint(record):
        return record, remarks
    changed = {
        key: again
        for key, value in record.items()
        if key in _LISTS and (again := _conversation(value, key, key, remarks)) is not None
    }
    given = record.get("input")
    if isinstance(given, Mapping):  # OpenAI's preferences
        inner = _conversation(given.get("messages"), "messages", "input.messages", remarks)
        if inner is not None:
            changed["input"] = {**given, "messages": inner}
    return ({**record, **changed}, remarks) if changed else (record, remarks)


def _conversation(value: Any, key: str, field: str, remarks: list[Remark]) -> Any:
    """The list of messages, or the one message, restated; None where nothing was."""
    if isinstance(value, str) and key in _IN_CELLS and value.lstrip().startswith("["):
        try:
            value = json_text.parsed(value, field)
        except DataError:
            return None  # its reader says so
    if isinstance(value, dict):
        again = _turn(value, key, field, remarks)
        return None if again is value else again
    if not isinstance(value, list) or all(map(_is_plain, value)):  # nearly always
        return None
    turns = [_turn(each, key, f"{field}[{index}]", remarks) for index, each in enumerate(value)]
    found = harmony.joined(turns, field, remarks)
    same = found is turns and all(one is other for one, other in zip(turns, value, strict=True))
    return None if same else found


def _is_plain(turn: Any) -> bool:
    """Whether there is nothing to restate in a turn."""
    if type(turn) is not dict or not _PLAIN.issuperset(turn):
        return False
    return turn.get("role", "user") in ROLES and type(turn.get("content")) is not list


def _turn(turn: Any, key: str, field: str, remarks: list[Remark]) -> Any:
    if type(turn) is not dict or not ("role" in turn or "from" in turn):
        return turn
    role, content = turn.get("role"), turn.get("content")
    again = _without_facts(turn, field, remarks)
    if key not in _WITH_SPEAKERS and isinstance(role, str) and role not in ROLES:
        again = _with_role(again, role, field, remarks)
    if isinstance(content, list):
        parts = [_part(part, f"{field}.content[{index}]", remarks) for index, part in enumerate(content)]
        if any(one is not other for one, other in zip(parts, content, strict=True)):
            again = {**again, "content": parts}
    return again


def _without_facts(turn: dict[str, Any], field: str, remarks: list[Remark]) -> dict[str, Any]:
    gone = [key for key, value in turn.items() if value not in _EMPTY and _is_fact(key, value, turn)]
    remarks += [Remark("keys-left-out", brief(key), f"{field}.{key}") for key in gone]
    return {key: value for key, value in turn.items() if key not in gone} if gone else turn


def _is_fact(key: str, value: Any, turn: dict[str, Any]) -> bool:
    if key == "id" and turn.get("role") == "tool" and not turn.get("tool_call_id"):
        return False  # it may be the call that the result answers
    return key in _ABOUT or _CONSTANT.get(key) == value


def _with_role(turn: dict[str, Any], role: str, field: str, remarks: list[Remark]) -> dict[str, Any]:
    known = _ROLES.get(role.strip().casefold())
    if known is None:
        return turn
    remarks.append(Remark("other-spellings", f"the role {brief(role)} as {known!r}", f"{field}.role"))
    return {**turn, "role": known}


# --- parts of the Responses API -----------------------------------------------------------------------


def _part(part: Any, field: str, remarks: list[Remark]) -> Any:
    kind = part.get("type") if isinstance(part, dict) else None
    if kind in ("input_text", "output_text"):
        again, known = _text(part, field, remarks), "text"
    elif kind == "input_image" and isinstance(part.get("image_url"), str):
        again, known = _image(part), "image_url"
    elif kind == "input_image" and part.get("file_id"):
        hint = 'give its address, or its bytes as a data: URL, under "image_url"'
        raise DataError("an image is named by the id of a file", field=f"{field}.file_id", hint=hint)
    elif kind == "input_file" and not part.get("file_url"):
        held = {key: part[key] for key in _FILE_KEYS if part.get(key) is not None}
        again, known = {"type": "file", "file": held}, "file"
    else:
        return part
    remarks.append(Remark("other-spellings", f"the part {kind!r} as {known!r}", f"{field}.type"))
    return again


def _text(part: dict[str, Any], field: str, remarks: list[Remark]) -> dict[str, Any]:
    gone = [key for key in ("annotations", "logprobs") if key in part]
    remarks += [
        Remark("keys-left-out", brief(key), f"{field}.{key}") for key in gone if part[key] not in _EMPTY
    ]
    return {**{key: value for key, value in part.items() if key not in gone}, "type": "text"}


def _image(part: dict[str, Any]) -> dict[str, Any]:
    detail = {"detail": part["detail"]} if part.get("detail") else {}
    return {"type": "image_url", "image_url": {"url": part["image_url"], **detail}}
