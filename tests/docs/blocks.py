"""Python blocks of a Markdown page. Knows fences and the one way to excuse a block; does not run anything.

A block is run unless the line before its fence is `<!-- not run: REASON -->`. The reason is for readers of the source.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_BLOCK = re.compile(
    r"^(?:<!-- not run: (?P<reason>[^\n]*?) -->\n)?"
    r"(?P<indent> *)```python\b[^\n]*\n(?P<code>.*?)^(?P=indent)```",
    flags=re.MULTILINE | re.DOTALL,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """One fenced Python block.

    Attributes:
        line: 1-based line of its first line of code.
        code: What stands between the fences, without their indentation.
        reason: Why it is not run; "" where it is.
    """

    line: int
    code: str
    reason: str


def blocks(path: Path) -> Iterator[Block]:
    """The Python blocks of a page, in order."""
    text = path.read_text(encoding="utf-8")
    for match in _BLOCK.finditer(text):
        line = text.count("\n", 0, match.start("code")) + 1
        code = re.sub(rf"^{match['indent']}", "", match["code"], flags=re.MULTILINE)
        yield Block(line=line, code=code, reason=match["reason"] or "")
