"""Every built-in record shape, in the order in which they are tried. Knows names only; imports a shape when used.

The order decides where two shapes recognise the same record: the more particular one comes first.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cache
from importlib import import_module
from typing import Any

from tunekit.data.shapes.base import Shape
from tunekit.data.wording import brief, listed, nearest
from tunekit.errors import SpecError

_SHAPES: tuple[tuple[str, str], ...] = (
    # (module under tunekit.data.shapes, name of the Shape in it)
    ("own", "OWN"),
    ("preference", "OPENAI_PREFERENCE"),
    ("conversation_pairs", "TRANSCRIPTS"),
    ("conversation_pairs", "CHOSEN_MESSAGES"),
    ("sharegpt_preference", "SHAREGPT_PREFERENCE"),
    ("conversation_pairs", "IMPLICIT"),
    ("preference", "PREFERENCE"),
    ("unpaired", "UNPAIRED"),
    ("unpaired", "UNPAIRED_MESSAGES"),
    ("rft", "RFT"),
    ("gemini_prompts", "GEMINI_PROMPTS"),
    ("chat", "OPENAI"),
    ("legacy_functions", "OPENAI_FUNCTIONS"),
    ("sharegpt", "SHAREGPT"),
    ("anthropic", "ANTHROPIC"),
    ("converse", "CONVERSE"),
    ("gemini", "GEMINI"),
    ("mistral", "MISTRAL"),
    ("typed_parts", "TYPED_PARTS"),
    ("segments", "SEGMENTS"),
    ("squad", "SQUAD"),
    ("instances", "INSTANCES"),
    ("alpaca", "ALPACA"),
    ("completion", "PROMPT_COMPLETION"),
    ("labelled", "LABELLED"),
    ("labelled", "PAIRS"),
    ("text", "TEXT"),
)

_LOOKED_AT = frozenset(
    """
    answer answers available_tools chosen chosen_messages completion content contents context conversation
    conversations data desirable expected expected_output functions ground_truth input instances instruction
    interactions kind kto_tag label labels messages neg negative non_preferred_output only_last output paragraphs
    pos positive preferred_output prompt qas query question reference reference_answer references rejected
    rejected_messages rejected_response response schemaversion segments solution system system_prompt target text
    toolconfig tools
    """.split()  # noqa: SIM905  # as a list it would be a page
)


@cache
def shapes() -> tuple[Shape, ...]:
    """The built-in shapes."""
    return tuple(getattr(import_module(f"tunekit.data.shapes.{module}"), name) for module, name in _SHAPES)


def recognised(record: Any) -> Shape | None:
    """The first shape that a record looks like, by its keys; a list of two can only be a pair.

    Examples:
        >>> found = recognised({"instruction": "Say hi", "output": "hi"})
        >>> found and found.name
        'alpaca'
    """
    if not isinstance(record, Mapping):
        pairs = shape("pairs")
        return pairs if pairs.recognises(record) else None
    return next((shape for shape in shapes() if shape.recognises(record)), None)


def looked_at(keys: Iterable[str]) -> bool:
    """Whether a shape looks at one of these keys to recognise a record; columns of other names make no other shape.

    Examples:
        >>> looked_at(["source", "Completion "]), looked_at(["source"])
        (True, False)
    """
    return any(str(key).strip().casefold() in _LOOKED_AT for key in keys)


def shape(name: str) -> Shape:
    """The shape that is called so.

    Raises:
        SpecError: None is; the hint says which there are.

    Examples:
        >>> shape("tunekit").says
        "tunekit's own rows"
    """
    known = {shape.name: shape for shape in shapes()}
    if name not in [*known]:  # a list also takes what has no hash
        hint = nearest(str(name), known) or f"shapes are {listed(known)}"
        raise SpecError(f"unknown shape {brief(name)}", hint=hint)
    return known[name]
