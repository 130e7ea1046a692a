"""Chat messages out of decoded JSON, checked by hand. Knows OpenAI's message; no files, no lines and no other shape.

Hand-written because every row passes here: a schema library costs several times the parse itself.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

from tunekit.data import json_text, tool_calls
from tunekit.data.tool_calls import tools as tools
from tunekit.data.wording import brief, listed, shown
from tunekit.errors import DataError
from tunekit.examples import ROLES, Message, text_of

_ROLES = frozenset(ROLES)
_CHAT = 'a chat is [{"role": "user", "content": "..."}, {"role": "assistant", "content": "..."}]'
_PART = 'a part is {"type": "text", "text": "..."} or {"type": "image_url", "image_url": {"url": "..."}}'

# What the assistant thought goes by three names: DeepSeek's and Qwen's; OpenRouter's and vLLM's; gpt-oss's.
_REASONING = ("reasoning_content", "reasoning", "thinking")
# How much a turn counts: OpenAI and Mistral; LLaMA-Factory; axolotl (two); ms-swift; reinforcement learning libraries.
WEIGHTS = ("weight", "loss_weight", "train", "training", "loss", "loss_mask")
_KEYS = ("role", "content", "name", "weight", "tool_calls", "tool_call_id", "reasoning_content")
_KNOWN = frozenset({*_KEYS, *_REASONING, *WEIGHTS, "refusal"})
# OpenAI's types, and those of transformers' and vLLM's processors.
_PARTS = ("text", "image_url", "input_audio", "file", "refusal")
_PART_TYPES = frozenset({*_PARTS, "image", "video", "video_url", "audio", "audio_url"})
_TEXTS = {"text": "text", "refusal": "refusal"}


def conversation(
    value: Any, field: str = "messages", read: Callable[[Any, str], Message] | None = None
) -> tuple[Message, ...]:
    """A non-empty list of messages.

    Args:
        value: What was decoded.
        field: Where it stands.
        read: Makes a message of an item and its field, in another form than OpenAI's.
    """
    found = items(value, field)
    if read is not None:
        return tuple([read(item, f"{field}[{index}]") for index, item in enumerate(found)])
    return tuple([_message(item, index, field) for index, item in enumerate(found)])


def items(value: Any, field: str) -> list[Any]:
    """A non-empty list that should hold messages, or turns of another form; in a table's cell it is a JSON text."""
    if isinstance(value, str) and value.lstrip().startswith("["):
        value = json_text.parsed(value, field)
    if not isinstance(value, list):
        raise DataError(f"expected a list of messages, found {shown(value)}", field=field, hint=_CHAT)
    if not value:
        raise DataError("the list of messages is empty", field=field, hint=_CHAT)
    return value


def answer(value: Any, field: str) -> str | tuple[Message, ...]:
    """An answer given as a text, as one message or as a list of messages.

    One assistant turn that only says something comes back as its text, however it was written.

    Examples:
        >>> answer({"role": "assistant", "content": "4"}, "chosen")
        '4'
    """
    if isinstance(value, str):
        return value
    return plain((message(value, field),) if isinstance(value, dict) else conversation(value, field))


def plain(turns: tuple[Message, ...]) -> str | tuple[Message, ...]:
    """The text of one assistant turn that says it and nothing else; other turns as they are."""
    said = turns[0].content
    return said if said is not None and turns == (Message(role="assistant", content=said),) else turns


def has_answer(messages: tuple[Message, ...]) -> bool:
    """Whether an assistant turn says or calls something and counts in the loss: else there is nothing to learn."""
    return any(turn.role == "assistant" and turn.weight and _says(turn) for turn in messages)


def _says(turn: Message) -> bool:
    said = (turn.content or "").strip() or (turn.reasoning or "").strip() or turn.tool_calls
    return bool(said) or any(part.get("type") != "text" for part in turn.parts)


def _message(value: Any, index: int, field: str) -> Message:
    # The common turn has a role and a text and nothing else: two look-ups and it is done.
    if type(value) is dict and len(value) == 2:
        role, content = value.get("role"), value.get("content")
        if type(role) is str and role in _ROLES and type(content) is str:
            return Message(role=role, content=content)  # type: ignore[arg-type]  # checked against ROLES
    return message(value, f"{field}[{index}]")


def message(value: Any, field: str) -> Message:
    """One message, with all that it may carry."""
    if not isinstance(value, dict):
        raise DataError(f"expected a message object, found {shown(value)}", field=field, hint=_CHAT)
    _refuse_unknown(value, field)
    role = _role(value, field)
    calls = tool_calls.calls(value.get("tool_calls"), f"{field}.tool_calls")
    reasoning = _reasoning(value, field)
    content, parts = _content(value, field, optional=role == "assistant" and bool(calls or reasoning))
    return Message(
        role=role,  # type: ignore[arg-type]  # checked against ROLES
        content=content,
        name=_optional_text(value, "name", field),
        weight=_weight(value, role, field),
        tool_calls=calls,
        tool_call_id=_optional_text(value, "tool_call_id", field),
        parts=parts,
        reasoning=reasoning,
    )


def _refuse_unknown(value: dict[str, Any], field: str) -> None:
    for key in value:
        # Exports carry "annotations": [], "audio": null, "prefix": false and the like; what says nothing can go.
        if key not in _KNOWN and value[key] not in (None, [], {}, "") and value[key] is not False:
            hint = f'known keys are {listed(_KEYS)}; facts about the row go beside "messages"'
            if key == "function_call":
                hint = 'write the call as tool_calls, or load with shape="openai-functions"'
            raise DataError(
                f"a message has the unknown key {brief(key)}",
                field=f"{field}.{brief(key, quote=False)}",
                hint=hint,
            )


def _role(value: dict[str, Any], field: str) -> str:
    role = value.get("role")
    if isinstance(role, str) and role in _ROLES:
        return role
    hint = f"roles are {listed(ROLES)}"
    if "role" not in value:
        raise DataError("a message has no role", field=field, hint=hint)
    if role == "function":
        hint = "write the legacy role 'function' as 'tool', with the tool_call_id of the call it answers"
    raise DataError(f"unknown role {brief(role)}", field=f"{field}.role", hint=hint)


# --- content ------------------------------------------------------------------------------------------


def _content(
    value: dict[str, Any], field: str, *, optional: bool
) -> tuple[str | None, tuple[Mapping[str, Any], ...]]:
    content, refusal = value.get("content"), value.get("refusal")
    if refusal:
        # OpenAI's two spellings of a refusal mean the same; the part is the one that a request may carry.
        if content:
            raise DataError(
                "a message has both a content and a refusal",
                field=f"{field}.refusal",
                hint="keep one of them",
            )
        content = [{"type": "refusal", "refusal": refusal}]
    if isinstance(content, str):
        return content, ()
    field = f"{field}.content"
    if isinstance(content, list) and content:
        parts = tuple(_part(part, f"{field}[{index}]") for index, part in enumerate(content))
        return text_of(parts), parts
    if content is not None and content != []:
        raise DataError(f"expected text, found {shown(content)}", field=field, hint="write it as a JSON text")
    if not optional:
        hint = "only an assistant turn with tool_calls may"
        raise DataError("a message has no content", field=field, hint=hint)
    return None, ()


def _part(value: Any, field: str) -> Mapping[str, Any]:
    kind = value.get("type") if isinstance(value, dict) else None
    if not isinstance(kind, str):
        raise DataError(
            f"expected a part with a type, found {shown(value) if kind is None else brief(kind)}",
            field=field,
            hint=_PART,
        )
    if kind not in _PART_TYPES:
        hint = f"types are {listed(_PARTS)}"
        raise DataError(f"unknown part {brief(kind)}", field=f"{field}.type", hint=hint)
    key = _TEXTS.get(kind)
    if key is not None and not isinstance(value.get(key), str):
        raise DataError(f"expected text, found {shown(value.get(key))}", field=f"{field}.{key}", hint=_PART)
    part: dict[str, Any] = value
    return part


def _reasoning(value: dict[str, Any], field: str) -> str | None:
    said = [key for key in _REASONING if value.get(key) is not None]
    if len({str(value[key]) for key in said}) > 1:
        raise DataError(
            f"a message has {listed(said)}, and they differ", field=f"{field}.{said[1]}", hint="keep one"
        )
    return _optional_text(value, said[0], field) if said else None


def _optional_text(value: dict[str, Any], key: str, field: str) -> str | None:
    text = value.get(key)
    if text is None or isinstance(text, str):
        return text
    raise DataError(
        f"expected text, found {shown(text)}",
        field=f"{field}.{key}",
        hint="write it as a JSON text, or leave the key out",
    )


# --- weight -------------------------------------------------------------------------------------------


def _weight(value: dict[str, Any], role: str, field: str) -> float:
    given = [key for key in WEIGHTS if value.get(key) is not None]
    if not given:
        return 1.0
    weight, *others = [_number(value[key], key, f"{field}.{key}") for key in given]
    if any(other != weight for other in others):
        raise DataError(
            f"a message has {listed(given)}, and they differ", field=f"{field}.{given[1]}", hint="keep one"
        )
    if given[0] == "weight" or role == "assistant":
        return weight
    if weight:
        raise DataError(
            f"the turn of {brief(role)} is marked to be learned; only those of 'assistant' are",
            field=f"{field}.{given[0]}",
            hint="set it to 0, or write the example as segments, where any text can be learned",
        )
    return 1.0  # such turns are never learned, so 0 says nothing new


def _number(value: Any, key: str, field: str) -> float:
    # bool is an int to Python; in "weight" it is a mistake, in the flags of other tools it is the rule.
    if isinstance(value, (int, float)) and not (key == "weight" and isinstance(value, bool)):
        try:
            weight = float(value)
        except OverflowError:
            weight = math.inf
        if math.isfinite(weight) and weight >= 0:  # no loss of ours is defined for less
            return weight
    raise DataError(
        f"expected a finite number from 0 up, found {brief(value)}",
        field=field,
        hint="0 leaves the turn out of the loss, 1 is what a turn without a weight has",
    )
