"""Nothing secret or personal goes to disk: what a turn or feedback holds, with placeholders. Knows no files.

Detectors and words are those of `Dataset.fix`. Its placeholders are numbered anew in each row; feedback comes later
than its turn, so both keep a tag of what stood behind each placeholder: `aligned` gives equal values equal names.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tunekit.data.checks.base import CheckContext
from tunekit.data.fixes.privacy import personal_data_in, with_placeholders
from tunekit.data.fixes.texts import rewritten
from tunekit.data.patterns import secrets
from tunekit.data.patterns.sensitive import PLACEHOLDER, Finder, Sensitive
from tunekit.data.views import texts
from tunekit.errors import DataError
from tunekit.examples import Message, PromptExample
from tunekit.retrain.collecting.records import Said, as_turns


@dataclass(frozen=True, slots=True)
class Masked:
    """What may be written.

    Attributes:
        said: The texts and turns, in the order given.
        values: The JSON value.
        hidden: What stood where each placeholder is.
    """

    said: tuple[Said, ...]
    values: Any
    hidden: dict[str, str] = field(repr=False)


def masked(
    said: tuple[Said, ...],
    values: Any,
    *,
    find_personal_data: Finder | None,
    max_chars: int,
    redact: bool = True,
) -> Masked:
    """The same with placeholders.

    Args:
        said: Texts and turns.
        values: A JSON value: its texts, names and numbers are looked at, too.
        find_personal_data: Finds more than our patterns do.
        max_chars: How long all texts may be together.
        redact: False leaves everything as it is.

    Raises:
        DataError: It is longer.
    """
    said = tuple(each if isinstance(each, str) else tuple(map(_readable, each)) for each in said)
    turns = tuple(turn for each in said for turn in as_turns(each))
    values = [values, [_around(turn) for turn in turns]]
    leaves = {str(number): leaf for number, leaf in enumerate(_leaves(values))}
    example = PromptExample(messages=turns, reference=leaves)
    found = [text for _, text, _ in texts(example)]
    chars = sum(map(len, found))
    if chars > max_chars:
        raise DataError(
            f"{chars:,} characters are more than the {max_chars:,} that are collected of a turn",
            hint="raise Collector(max_chars=...), or give record() less",
        )
    if not redact:
        return Masked(said, values[0], {})
    context = CheckContext(find_personal_data=find_personal_data)

    def personal_data(text: str) -> Sequence[Sensitive]:
        return personal_data_in(text, context)

    hidden: dict[str, str] = {}
    whole = "\n".join(found)
    for find in (secrets.find, personal_data):
        # One look at all texts is several times as fast as one at each, and most turns have nothing. Only our own
        # patterns are known to find in it what they find in its parts.
        if (find is secrets.find or find_personal_data is None) and not find(whole):
            continue
        example, more = with_placeholders(example, find)  # type: ignore[assignment]
        hidden |= more
    if not hidden:
        return Masked(said, values[0], {})
    values, around = _rebuilt(values, iter(example.reference.values()))
    left = iter([_put_back(turn, found) for turn, found in zip(example.messages, around, strict=True)])
    return Masked(tuple(_said(each, left) for each in said), values, hidden)


def _readable(turn: Message) -> Message:
    """Arguments of calls with characters in place of their JSON escapes: one of those is an @, too."""
    if not any("\\u" in call.arguments for call in turn.tool_calls):
        return turn
    calls = []
    for call in turn.tool_calls:
        try:
            plainly = json.dumps(json.loads(call.arguments), ensure_ascii=False)
        except ValueError:  # it is no JSON, so nobody will read it as such
            plainly = call.arguments
        calls.append(call.replace(arguments=plainly))
    return turn.replace(tool_calls=tuple(calls))


def _around(turn: Message) -> Any:
    """What stands in a turn beside its texts, as a JSON value."""
    calls = [[call.id, call.name] for call in turn.tool_calls]
    return [turn.name, turn.tool_call_id, calls, [_beside_text(part) for part in turn.parts]]


def _beside_text(part: Mapping[str, Any]) -> Mapping[str, Any]:
    return {
        name: value for name, value in part.items() if not (name == "text" and part.get("type") == "text")
    }


def _put_back(turn: Message, around: Any) -> Message:
    name, call_id, calls, parts = around
    return turn.replace(
        name=name,
        tool_call_id=call_id,
        tool_calls=tuple(
            call.replace(id=new[0], name=new[1]) for call, new in zip(turn.tool_calls, calls, strict=True)
        ),
        parts=tuple({**part, **new} for part, new in zip(turn.parts, parts, strict=True)),
    )


def aligned(said: Said, own: Mapping[str, str], other: Mapping[str, str]) -> Said:
    """What was said, its placeholders named as in another row of the same turn.

    Args:
        said: A text or turns.
        own: Tags by placeholder, of this row.
        other: Tags by placeholder, of the other.

    Examples:
        >>> own = {"[EMAIL_1]": "tag of b", "[EMAIL_2]": "tag of c"}
        >>> aligned("Ask [EMAIL_1] or [EMAIL_2]", own, {"[EMAIL_1]": "tag of a", "[EMAIL_2]": "tag of b"})
        'Ask [EMAIL_2] or [EMAIL_3]'
    """
    names, taken = {}, set(other)
    of_tag = {tag: name for name, tag in other.items()}
    for name, tag in own.items():
        names[name] = of_tag.get(tag) or _free(name, taken)
        taken.add(names[name])
    if isinstance(said, str):
        return PLACEHOLDER.sub(lambda match: names.get(match[0], match[0]), said)
    turns = PromptExample(messages=said)
    done = rewritten(turns, lambda text: PLACEHOLDER.sub(lambda match: names.get(match[0], match[0]), text))
    return done.messages  # type: ignore[union-attr]


def _free(name: str, taken: set[str]) -> str:
    """The placeholder itself, or the next of its kind that nobody has."""
    kind, _, number = name[1:-1].rpartition("_")
    count = int(number)
    while f"[{kind}_{count}]" in taken:
        count += 1
    return f"[{kind}_{count}]"


def _said(before: Said, turns: Iterator[Message]) -> Said:
    if isinstance(before, str):
        return next(turns).content or ""
    return tuple(next(turns) for _ in before)


def _leaves(value: Any) -> Iterator[str]:
    """Every text of a JSON value, its names among them, and every number."""
    if isinstance(value, Mapping):
        for key, item in value.items():
            yield str(key)
            yield from [_after_its_name(key, item)] if isinstance(item, str) else _leaves(item)
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from _leaves(item)
    elif isinstance(value, (str, int, float)) and not isinstance(value, bool):
        yield _written(value)


def _after_its_name(key: object, item: str) -> str:
    """The text; behind its name where that is all that says that it is a secret."""
    named = f"{key}: {item}"
    return named if any(found.kind == secrets.ASSIGNED for found in secrets.find(named)) else item


def _written(value: str | int | float) -> str:
    """Numbers as people write them: that of a card may come as a float."""
    whole = isinstance(value, float) and value.is_integer() and abs(value) < 1e20
    return f"{value:.0f}" if whole else str(value)


def _rebuilt(value: Any, leaves: Iterator[str]) -> Any:
    if isinstance(value, Mapping):
        return {
            _leaf(key, leaves): _value(key, item, leaves) if isinstance(item, str) else _rebuilt(item, leaves)
            for key, item in value.items()
        }
    if isinstance(value, (list, tuple)):
        return [_rebuilt(item, leaves) for item in value]
    if isinstance(value, (str, int, float)) and not isinstance(value, bool):
        return _leaf(value, leaves)
    return value


def _value(key: object, item: str, leaves: Iterator[str]) -> str:
    shown, new = _after_its_name(key, item), next(leaves)
    if new == shown:
        return item
    return new if shown == item else new.removeprefix(f"{key}: ")


def _leaf(value: Any, leaves: Iterator[str]) -> Any:
    new = next(leaves)
    return value if new == _written(value) else new
