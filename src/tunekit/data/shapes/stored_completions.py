"""OpenAI's stored completions and logs of its API: a request and what came back, as a chat. Knows no other export.

Read are `messages` beside `choices` or `output`, and bodies under `request` and `response` (with `body` inside, as
batches have it), of Chat Completions and of Responses. One answer is read: which of several is good, nobody said.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tunekit.data.shapes.remarks import Remark
from tunekit.data.shapes.restated import Program, Restated
from tunekit.data.wording import listed
from tunekit.errors import DataError
from tunekit.examples import Message, message_to_dict

_ASKED = ("messages", "input")
_ANSWERED = ("choices", "output")
_USED = frozenset({*_ASKED, *_ANSWERED, "tools", "instructions"})
_BODIES = ("request", "response", "body")
_ENDED = ("length", "content_filter", "max_output_tokens")
_SILENT = frozenset({"reasoning"})
"""Items of an output that say nothing: OpenAI keeps the thoughts to itself."""


def _wrote(record: Mapping[str, Any]) -> bool:
    return any(map(_said, _holders(record, "request").values())) and any(
        map(_is_answer, _holders(record, "response").values())
    )


def _holders(record: Mapping[str, Any], key: str) -> dict[str, Mapping[str, Any]]:
    """Where the request or the response may stand, by the beginnings of their fields."""
    inner = record.get(key)
    body = inner.get("body") if isinstance(inner, Mapping) else None
    of_batch = record.get("body") if key == "request" else None
    places = {"": record, f"{key}.": inner, f"{key}.body.": body, "body.": of_batch}
    return {field: each for field, each in places.items() if isinstance(each, Mapping)}


def _said(request: Mapping[str, Any]) -> list[Any]:
    """The conversation that waits for an answer; empty where there is none."""
    said: list[Any] = next((request[key] for key in _ASKED if isinstance(request.get(key), list)), [])
    is_open = bool(said) and all(map(_has_role, said)) and said[-1]["role"] != "assistant"
    return said if is_open else []


def _is_answer(response: Mapping[str, Any]) -> bool:
    choices, output = response.get("choices"), response.get("output")
    if isinstance(choices, list) and choices:
        return all(isinstance(each, Mapping) and _has_role(each.get("message")) for each in choices)
    items = output if isinstance(output, list) else [output]
    return any(isinstance(each, Mapping) and each.get("role") == "assistant" for each in items)


def _has_role(value: Any) -> bool:
    return isinstance(value, Mapping) and isinstance(value.get("role"), str)


# --- restated -----------------------------------------------------------------------------------------


def _restated(record: Mapping[str, Any]) -> Restated:
    request = next(each for each in _holders(record, "request").values() if _said(each))
    field, response = next(each for each in _holders(record, "response").items() if _is_answer(each[1]))
    key = "choices" if response.get("choices") else "output"
    answer, ended = (_choice if key == "choices" else _output)(response, field + key)
    made: dict[str, Any] = {"messages": [*_system(request.get("instructions")), *_said(request), answer]}
    if request.get("tools"):
        made["tools"] = request["tools"]
    made |= {name: value for name, value in record.items() if name not in _USED}
    made |= {name: _facts(record[name]) for name in _BODIES if isinstance(record.get(name), Mapping)}
    remarks = [Remark("other-spellings", f"the answer in {field + key!r} as the last message", field + key)]
    if ended in _ENDED:
        remarks.append(Remark("cut-off-answers", f"ended by {ended!r}", field + key))
    return Restated(made, "openai", tuple(remarks))


def _choice(response: Mapping[str, Any], field: str) -> tuple[Any, Any]:
    choices = response["choices"]
    if len(choices) > 1:
        raise DataError(
            f"the row has {len(choices)} answers, and nothing says which is good",
            field=field,
            hint='keep one of them; or write the good one as "chosen" and a bad one as "rejected"',
        )
    return choices[0]["message"], choices[0].get("finish_reason")


def _output(response: Mapping[str, Any], field: str) -> tuple[Any, Any]:
    output = response["output"]
    items = output if isinstance(output, list) else [output]
    spoken = [each for each in items if not (isinstance(each, Mapping) and each.get("type") in _SILENT)]
    if len(spoken) > 1:
        kinds = [str(each.get("type", "message")) if isinstance(each, Mapping) else "text" for each in spoken]
        raise DataError(
            f"the output has {len(spoken)} items ({listed(kinds)}), and one message is read",
            field=field,
            hint='write them as messages: calls as "tool_calls" of the assistant\'s turn',
        )
    details = response.get("incomplete_details")
    return spoken[0], details.get("reason") if isinstance(details, Mapping) else None


def _system(instructions: Any) -> list[dict[str, Any]]:
    """What the Responses API has in the place of a first system message."""
    is_said = isinstance(instructions, str) and bool(instructions)
    return [message_to_dict(Message(role="system", content=instructions))] if is_said else []


def _facts(body: Mapping[str, Any]) -> dict[str, Any]:
    """What a request or a response says besides, such as the model and the temperature."""
    left = {key: value for key, value in body.items() if key not in _USED}
    inner = body.get("body")
    return {**left, "body": _facts(inner)} if isinstance(inner, Mapping) else left


PROGRAM = Program(frozenset({*_ANSWERED, "response"}), _wrote, _restated, frozenset({"openai"}))
