"""What an answer looks like, whether or not it is right: JSON, one of a list, its length, a refusal. Knows one answer.

Models often gain by format alone, so a report shows it beside whether answers are right. Every function but the lengths
gives 1.0 or 0.0, and its mean over items is a share.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, Literal, TypeAlias

from tunekit.data.patterns import placeholders
from tunekit.data.wording import brief, listed
from tunekit.errors import SpecError
from tunekit.evaluation.metrics import json_fields
from tunekit.evaluation.metrics.json_fields import MISSING, Path
from tunekit.evaluation.metrics.matching import Normalise, normalised

JsonType: TypeAlias = Literal["any", "array", "boolean", "integer", "null", "number", "object", "string"]
"""As in JSON Schema: 1.0 is an integer and a number, true is neither."""


def is_json(answer: str) -> float:
    """1 if the answer is one JSON value, with nothing around it but space: no fence, no prose.

    Examples:
        >>> is_json('{"a": 1}'), is_json('Here you are: {"a": 1}')
        (1.0, 0.0)
    """
    return float(json_fields.parse(answer) is not MISSING)


def has_fields(answer: str, fields: Mapping[str, JsonType]) -> float:
    """1 if the answer is JSON with all these fields, of these types.

    Args:
        answer: What the model said.
        fields: Type by path, such as {"name": "string", "items[0].price": "number"}; "" is the whole value.

    Raises:
        SpecError: There is no such type, or a path is none.

    Examples:
        >>> has_fields('{"name": "Ada", "age": 36}', {"": "object", "name": "string", "age": "integer"})
        1.0
    """
    for name in fields.values():
        if name not in _TYPES:
            raise SpecError(f"{brief(name)} is no type of JSON", hint=f"one of {listed(_TYPES)}")
    document = json_fields.parse(answer)
    return float(all(_is_of(Path(path).value(document), name) for path, name in fields.items()))


def is_one_of(answer: str, choices: Collection[str], *, normalise: Normalise = "whitespace") -> float:
    """1 if the answer is one of these texts, after normalisation; see `matching.normalised`.

    Raises:
        SpecError: The choices are one text, or none.
    """
    if isinstance(choices, str) or not choices:
        raise SpecError(f"choices are {brief(choices)}", hint="pass a list of at least one text")
    return float(normalised(answer, normalise) in {normalised(choice, normalise) for choice in choices})


def is_within(answer: str, max_chars: int) -> float:
    """1 if the answer has at most so many characters.

    Raises:
        SpecError: The limit is negative.
    """
    if max_chars < 0:
        raise SpecError(f"max_chars is {max_chars!r}", hint="0 or more")
    return float(length_chars(answer) <= max_chars)


def length_chars(answer: str) -> float:
    """Its length in characters (code points of Unicode). Neither more nor less is better by itself."""
    return float(len(answer))


def length_words(answer: str) -> float:
    """Its length in words, parted by white space; a language without spaces has one word to the sentence."""
    return float(len(answer.split()))


def looks_refused(answer: str) -> float:
    """1 if the answer begins like a refusal in English. A heuristic, not a judge.

    It knows the set phrases that `Dataset.check` finds as "refusals" ("As an AI language model, I cannot ...",
    "I'm sorry, but I can't ...") in the first 250 characters. What it marks is nearly always a refusal; a refusal in
    other words or another language it does not mark. So it tells whether two models differ, and not how often one
    refuses.

    Examples:
        >>> looks_refused("I'm sorry, but I can't help with that."), looks_refused("I can help with that.")
        (1.0, 0.0)
    """
    return float(placeholders.refusal(answer) is not None)


def _is_of(value: Any, name: str) -> bool:
    if value is MISSING:
        return False
    if name == "integer" and isinstance(value, float):
        return value.is_integer()
    return isinstance(value, _TYPES[name]) and (name in ("any", "boolean") or not isinstance(value, bool))


_TYPES: Mapping[str, type | tuple[type, ...]] = {
    "any": object,
    "array": list,
    "boolean": bool,
    "integer": int,
    "null": type(None),
    "number": (int, float),
    "object": dict,
    "string": str,
}
