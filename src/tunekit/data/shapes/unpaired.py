"""One answer and whether it was good: TRL's prompt, completion and label; LLaMA-Factory's messages with a verdict.

Knows no pairs. A verdict is true or false; 1 and 0, and the words in a table's cells, are read where the shape is asked
for by name or the column is called `kto_tag`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tunekit.data import messages
from tunekit.data.shapes import answers, fields, prompts
from tunekit.data.shapes.answers import Answer, Turns
from tunekit.data.shapes.base import Shape
from tunekit.data.shapes.preference import with_tools
from tunekit.data.shapes.turns import with_system
from tunekit.data.wording import brief
from tunekit.errors import DataError
from tunekit.examples import Example, UnpairedExample, message_to_dict

_KINDS = frozenset({"unpaired"})
_VERDICTS = ("label", "kto_tag")
_ANSWERS = ("completion", "output", "response", "answer")
_CONVERSATIONS = ("messages", "conversations", "conversation")
_WORDS = {"true": True, "false": False, "1": True, "0": False}


def _verdict_key(record: Mapping[str, Any]) -> str | None:
    return next((key for key in reversed(_VERDICTS) if key in record), None)


def _is_verdict(record: Mapping[str, Any]) -> bool:
    key = _verdict_key(record)
    if key is None:
        return False
    value = record[key]
    text = isinstance(value, str) and value.strip().casefold() in ("true", "false")
    return isinstance(value, bool) or text or (key == "kto_tag" and bool(fields.spelled(value)))


def _answer_key(record: Mapping[str, Any]) -> str | None:
    return next((key for key in _ANSWERS if isinstance(record.get(key), (str, list, dict))), None)


def _conversation_key(record: Mapping[str, Any]) -> str | None:
    return next((key for key in _CONVERSATIONS if isinstance(record.get(key), list)), None)


def _desirable(record: Mapping[str, Any], key: str) -> bool:
    value = record.get(key)
    if isinstance(value, bool):
        return value
    found = _WORDS.get((fields.spelled(value) or "").strip().casefold())
    if found is None:
        raise DataError(
            f"expected true or false, found {brief(value)}",
            field=key,
            hint="true says that the answer is good, false that it is bad",
        )
    return found


# --- an answer apart from its prompt ------------------------------------------------------------------


def _recognises(record: Mapping[str, Any]) -> bool:
    return _is_verdict(record) and _answer_key(record) is not None and prompts.has(record)


def _read(record: Mapping[str, Any], id: str) -> Example:
    key, answer = prompts.key_of(record) or "prompt", _answer_key(record) or _ANSWERS[0]
    if key not in record:
        raise DataError("the row has no prompt", field=key, hint='add what was asked under "prompt"')
    turns, used = prompts.read(record, key)
    completion = answers.answered(record.get(answer), answer)
    return _example(record, id, turns, completion, {*used, answer})


def _write(example: Example) -> dict[str, Any]:
    found = _unpaired(example, "unpaired")
    body: dict[str, Any] = {
        "prompt": [message_to_dict(turn) for turn in found.messages],
        "completion": answers.written(found.completion),
        "label": found.desirable,
    }
    return fields.with_meta(body | with_tools(found.tools), found, (*prompts.RESERVED, *_VERDICTS))


# --- a conversation that ends with the answer ---------------------------------------------------------


def _recognises_messages(record: Mapping[str, Any]) -> bool:
    return _is_verdict(record) and _conversation_key(record) is not None and _answer_key(record) is None


def _read_messages(record: Mapping[str, Any], id: str) -> Example:
    key = _conversation_key(record) or _CONVERSATIONS[0]
    said = answers.conversation(record.get(key), key)
    turns, completion = answers.last(with_system(said, fields.optional_text(record, "system")), key)
    found = answers.checked(messages.plain(completion), key)
    return _example(record, id, turns, found, {key, "system"})


def _write_messages(example: Example) -> dict[str, Any]:
    found = _unpaired(example, "unpaired-messages")
    whole = found.messages + answers.turns(found.completion)
    if answers.last(whole, "messages")[0] != found.messages:
        raise DataError(
            "where the answer begins would not be clear: it holds a turn of the user, or follows another answer",
            field="completion",
            hint='write shape="unpaired", which has the prompt apart',
        )
    body: dict[str, Any] = {"messages": [message_to_dict(turn) for turn in whole]} | with_tools(found.tools)
    return fields.with_meta(body | {"label": found.desirable}, found, ("system", "tools", *_VERDICTS))


# --- both ---------------------------------------------------------------------------------------------


def _example(
    record: Mapping[str, Any], id: str, turns: Turns, completion: Answer, used: set[str]
) -> UnpairedExample:
    key = _verdict_key(record) or _VERDICTS[0]
    return UnpairedExample(
        messages=turns,
        completion=completion,
        desirable=_desirable(record, key),
        tools=messages.tools(record.get("tools")),
        id=id,
        meta=fields.rest(record, used | {key, "tools"}),
    )


def _unpaired(example: Example, shape: str) -> UnpairedExample:
    if isinstance(example, UnpairedExample):
        return example
    raise fields.refused(example, shape, _KINDS)


UNPAIRED = Shape(
    name="unpaired",
    says="answers with a verdict",
    kinds=_KINDS,
    recognises=_recognises,
    read=_read,
    write=_write,
)
UNPAIRED_MESSAGES = Shape(
    name="unpaired-messages",
    says="conversations with a verdict",
    kinds=_KINDS,
    recognises=_recognises_messages,
    read=_read_messages,
    write=_write_messages,
)
