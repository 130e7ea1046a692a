r"""Conversations written as one text, as in Anthropic's HH data: "\n\nHuman: ...\n\nAssistant: ...". Knows no rows."""

from __future__ import annotations

import re
from collections.abc import Sequence

from tunekit.data.wording import brief
from tunekit.errors import DataError
from tunekit.examples import Message, Role

_ROLES: dict[str, Role] = {"Human": "user", "Assistant": "assistant", "System": "system"}
_SPEAKERS = {role: speaker for speaker, role in _ROLES.items()}
_TURN = re.compile(r"(?:\A\s*|\n\n)(Human|Assistant|System):(?: |(?=\n)|\Z)")


def parsed(text: str) -> tuple[Message, ...] | None:
    r"""The turns of a transcript; None where the text does not begin like one.

    Examples:
        >>> [turn.content for turn in parsed("\n\nHuman: 2+2?\n\nAssistant: 4") or ()]
        ['2+2?', '4']
        >>> parsed("To err is Human: really") is None
        True
    """
    marks = list(_TURN.finditer(text))
    if not marks or text[: marks[0].start()].strip() or marks[0][1] == "Assistant":
        return None
    ends = [mark.start() for mark in marks[1:]] + [len(text)]
    return tuple(
        Message(role=_ROLES[mark[1]], content=text[mark.end() : end])
        for mark, end in zip(marks, ends, strict=True)
    )


def written(turns: Sequence[Message], field: str = "messages") -> str:
    """The transcript of plain turns, which `parsed` reads back.

    Raises:
        DataError: A turn has more than a text, or a text that would read as another turn.
    """
    said = []
    for index, turn in enumerate(turns):
        where = f"{field}[{index}]"
        speaker = _SPEAKERS.get(turn.role)
        if speaker is None or turn.content is None or turn != Message(role=turn.role, content=turn.content):
            raise DataError(
                "a transcript holds only what user, assistant and system say",
                field=where,
                hint='write shape="preference", which holds every turn',
            )
        said.append(f"\n\n{speaker}: {turn.content}")
    text = "".join(said)
    if parsed(text) != tuple(turns):
        raise DataError(
            f"a turn holds what reads as the beginning of another, in {brief(text)}",
            field=field,
            hint='write shape="preference", which keeps turns apart',
        )
    return text
