"""Pieces of HTML: text from anywhere, tables, folds. Knows markup and escapes; not what is shown.

What comes from models and data goes through `text` and nothing else. Everything here that takes HTML says so.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from html import escape

_FOLD_CHARS = 280
_MOST_CHARS = 4_000
# What nobody sees or what turns text around, so that two answers which differ look alike: controls, directions, blanks
# without width, tags, halves of characters and no characters. Line feed and tab stay.
_NOT_SHOWN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\xad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"
    "\ufffe\uffff\ud800-\udfff\U000e0000-\U000e007f]"
)


def plain(value: object) -> str:
    r"""Text in which every character can be seen and stored: others are shown by their numbers.

    Examples:
        >>> plain("pay\u202eme\x00")
        'pay\\u202eme\\u0000'
    """
    return _NOT_SHOWN.sub(_number, str(value))


def text(value: object) -> str:
    r"""Anything as text of a page, or of an attribute in double quotes.

    Examples:
        >>> text('<b title="x">\x1b')
        '&lt;b title=&quot;x&quot;&gt;\\u001b'
    """
    return escape(plain(value))


def data(value: object) -> str:
    """Text that strangers wrote, of unknown direction, apart from what is around it."""
    return f'<span dir="auto">{text(value)}</span>'


def folded(value: str | None, *, none: str = "nothing") -> str:
    """A long text with its beginning to be seen and the whole on request; what a page cannot hold is counted.

    Args:
        value: The text as it is.
        none: Said where there is none.
    """
    if value is None:
        return f'<p class="quiet">{text(none)}</p>'
    if value == "":
        return '<p class="quiet">empty text</p>'
    if len(value) <= _FOLD_CHARS and value.count("\n") < 10:
        return _said(value)
    begin = " ".join(value[:_FOLD_CHARS].split())[: _FOLD_CHARS // 2]
    rest = len(value) - _MOST_CHARS
    left_out = f'<p class="quiet">{rest:,} more characters in the JSON</p>' if rest > 0 else ""
    return (
        f'<details><summary><span dir="auto">{text(begin)}</span>… <span class="quiet">({len(value):,} characters)'
        f"</span></summary>{_said(value[:_MOST_CHARS])}{left_out}</details>"
    )


def table(caption: str, header: Sequence[str], rows: Iterable[Sequence[str]], *, words: int = 1) -> str:
    """A table that scrolls by itself where it is wider than the screen. Cells are HTML, caption and header text.

    Args:
        caption: What it shows.
        header: Of each column.
        rows: Cells; the first of each row is its header.
        words: Columns at the left that hold words; the others hold numbers.
    """
    heads = "".join(
        f'<th scope="col"{_numeric(at, words)}>{text(name)}</th>' for at, name in enumerate(header)
    )
    body = "\n".join(_row(row, words) for row in rows)
    return scrolling(caption, f"<table><thead><tr>{heads}</tr></thead>\n<tbody>{body}</tbody></table>")


def scrolling(caption: str, html: str) -> str:
    """What may be wider than a phone, reachable by keyboard, with a caption that stays. `html` is HTML."""
    return (
        f'<figure><figcaption class="quiet">{text(caption)}</figcaption>'
        f'<div class="wide" role="region" tabindex="0" aria-label="{text(caption)}">{html}</div></figure>'
    )


def section(identifier: str, title: str, html: Iterable[str]) -> Iterator[str]:
    """A part of the page with its heading, or nothing where it has no content. `html` is HTML."""
    parts = list(html)
    if parts:
        yield f'<section aria-labelledby="{identifier}">\n<h2 id="{identifier}">{text(title)}</h2>'
        yield from parts
        yield "</section>"


def facts(pairs: Iterable[tuple[str, str]]) -> str:
    """Names and what they are. The second of each is HTML."""
    rows = "".join(f"<div><dt>{text(name)}</dt><dd>{html}</dd></div>" for name, html in pairs)
    return f"<dl>{rows}</dl>"


def listed(html: Iterable[str]) -> str:
    """A list, or nothing. Each is HTML."""
    items = "".join(f"<li>{each}</li>" for each in html)
    return f"<ul>{items}</ul>" if items else ""


def more(count: int, what: str) -> str:
    """What a page leaves out, or nothing where it leaves nothing out."""
    return f'<p class="quiet">{count:,} more {text(what)} in the JSON</p>' if count > 0 else ""


def _said(value: str) -> str:
    return f'<div class="said" dir="auto">{text(value)}</div>'


def _row(cells: Sequence[str], words: int) -> str:
    first, *rest = cells
    others = "".join(f"<td{_numeric(at, words)}>{cell}</td>" for at, cell in enumerate(rest, start=1))
    return f'<tr><th scope="row">{first}</th>{others}</tr>'


def _numeric(at: int, words: int) -> str:
    return "" if at < words else ' class="number"'


def _number(match: re.Match[str]) -> str:
    code = ord(match[0])
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
