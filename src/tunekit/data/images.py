"""Images in messages: where they are, how they are given, how large. Knows OpenAI's parts; opens nothing."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from tunekit.examples import Example, Message

PLACEHOLDER = "<image>"
"""What LLaVA's and LLaMA-Factory's texts write where an image belongs."""
_TYPES = frozenset({"image_url", "image", "input_image"})
COLUMNS = ("images", "image")
"""Columns beside the messages in which images may stand."""
_DATA = re.compile(r"data:(?P<type>[\w.+/-]{0,100})(?P<base64>;base64)?,", re.ASCII)
# First bytes of a file, in base64: what the media type says is not always what is there.
_BEGINNINGS: tuple[tuple[str, str], ...] = (
    ("/9j/", "image/jpeg"),
    ("iVBORw0KGgo", "image/png"),
    ("UklGR", "image/webp"),
    ("R0lGOD", "image/gif"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Image:
    """One image of a message.

    Attributes:
        field: Where it stands, such as "messages[1].content[0]".
        role: Who shows it.
        form: "url" for an http address, "data" for the image itself, "other" for anything else.
        media_type: Of image data, such as "image/png", by its first bytes or else as stated; "" where it is not known.
        bytes: Of image data, decoded.
        problem: What is wrong with it; "" where nothing is.
        reference: The beginning of what was given.
    """

    field: str
    role: str
    form: Literal["url", "data", "other"]
    media_type: str = ""
    bytes: int = 0
    problem: str = ""
    reference: str = ""


def images(messages: Sequence[Message], field: str = "messages") -> Iterator[Image]:
    """Every image part of the messages."""
    for at, turn in enumerate(messages):
        for number, part in enumerate(turn.parts):
            if part.get("type") in _TYPES:
                yield _image(part, f"{field}[{at}].content[{number}]", turn.role)


def placeholders(messages: Sequence[Message]) -> int:
    """How many images the texts promise."""
    return sum((turn.content or "").count(PLACEHOLDER) for turn in messages)


def beside(example: Example) -> int:
    """How many images stand in a column beside the messages."""
    for key in COLUMNS:
        value = example.meta.get(key)
        if value:
            return len(value) if isinstance(value, (list, tuple)) else 1
    return 0


def _image(part: Mapping[str, Any], field: str, role: str) -> Image:
    given = part.get("image_url", part.get("image"))
    if isinstance(given, Mapping):
        given = given.get("url")
    if not isinstance(given, str) or not given.strip():
        return Image(field=field, role=role, form="other", problem="there is no address and no data")
    reference = given[:60]
    if given.startswith(("http://", "https://")):
        return Image(field=field, role=role, form="url", reference=reference)
    if given.startswith("data:"):
        return _data(given, field, role, reference)
    problem = "neither an http address nor image data"
    return Image(field=field, role=role, form="other", problem=problem, reference=reference)


def _data(uri: str, field: str, role: str, reference: str) -> Image:
    head = _DATA.match(uri)
    if head is None or not head["base64"]:
        problem = "image data must read data:image/<type>;base64,..."
        return Image(field=field, role=role, form="data", problem=problem, reference=reference)
    body = len(uri) - head.end()
    found = next((media for start, media in _BEGINNINGS if uri.startswith(start, head.end())), "")
    stated = head["type"].lower()
    problem = ""
    if not stated.startswith("image/"):
        problem = f"the data are {stated or 'of no stated type'}, no image"
    elif body == 0:
        problem = "the image data are empty"
    elif found and found != stated.replace("image/jpg", "image/jpeg"):
        problem = f"the data are {found}, not {stated}"
    return Image(
        field=field,
        role=role,
        form="data",
        media_type=found or stated,
        bytes=body * 3 // 4 - uri.count("=", len(uri) - 2),
        problem=problem,
        reference=reference,
    )
