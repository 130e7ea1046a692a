"""Nothing secret or personal goes to disk: what a turn or feedback holds, with placeholders. Knows no files.

Detectors and words are those of `Dataset.fix`. Its placeholders are numbered anew in each row; feedback comes later
than its turn, so both keep a tag of what stood behind each placeholder: `aligned` gives equal values equal names.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from tunekit.data.checks.base import CheckContext
from tunekit.data.fixes.privacy import personal_data_in, with_placeholders
from tunekit.data.fixes.texts import rewritten
from tunekit.data.patterns import secrets
from tunekit.data.patterns.sensitive import PLACEHOLDER, Finder, Sensitive
from tunekit.data.views import texts
from tunekit.errors import DataError
from tunekit.examples import Message, PromptExample
from tunekit.retrain.collecting.records import Said, as_turns

_T = TypeVar("_T")


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
    turns = tuple(turn for each in said for turn in as_turns(each))
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
        return Masked(said, values, {})
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
    turns_left, leaves_left = iter(example.messages), iter(example.reference.values())
    return Masked(
        tuple(_said(each, turns_left) for each in said),
        _rebuilt(values, leaves_left) if leaves else values,
        hidden,
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
            yield from _leaves(item)
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from _leaves(item)
    elif isinstance(value, (str, int, float)) and not isinstance(value, bool):
        yield str(value)


def _rebuilt(value: Any, leaves: Iterator[str]) -> Any:
    if isinstance(value, Mapping):
        return {_leaf(key, leaves): _rebuilt(item, leaves) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_rebuilt(item, leaves) for item in value]
    if isinstance(value, (str, int, float)) and not isinstance(value, bool):
        return _leaf(value, leaves)
    return value


def _leaf(value: _T, leaves: Iterator[str]) -> _T | str:
    new = next(leaves)
    return value if new == str(value) else new
