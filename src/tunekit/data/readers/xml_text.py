"""Text out of XML as spreadsheets write it: entities, escapes of their own, parts of rich text. Knows no cells.

The XML of a sheet is read with regular expressions, which is several times as fast as a parser and needs no more than
a piece of it at once. That is safe where XML is as regular as programs write it: tags hold no "<", and every form that
is not the usual one is looked for and brought into it, or refused.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from tunekit.data.wording import brief
from tunekit.errors import DataError

MAX_TEXT_BYTES = 4 << 20
"""Of one tag or text. Excel's longest text has 32,767 characters."""

_ENTITY = re.compile(r"&(?:#([0-9]{1,7})|#x([0-9a-fA-F]{1,6})|(amp|lt|gt|quot|apos));")
_NAMED = {"amp": "&", "lt": "<", "gt": ">", "quot": '"', "apos": "'"}
_ESCAPE = re.compile(r"(?:_x[0-9A-Fa-f]{4}_)+")
_RUN = re.compile(r"<t(?:\s[^<>]*+)?>([^<]*+)</t>")
_CDATA = b"<![CDATA["
_SECTIONS = ((b"<!--", b"-->"), (_CDATA, b"]]>"), (b"<?", b"?>"), (b"<!", b">"))
_SECTION = re.compile(rb"<[!?]")
# After an optional mark: declarations, comments and blanks, and then the first element; so, no document type.
_PROLOG = re.compile(rb"(?:\xef\xbb\xbf)?(?:\s++|<\?[^>]*+>|<!--(?:[^-]|-(?!->))*+-->)*+<(?:(\w+):)?\w")
_ATTRIBUTE = re.compile(r"""(?<![\w:.-])([\w:.-]++)\s*+=\s*+(?:"([^"]*+)"|'([^']*+)')""")


def pieces(chunks: Iterator[bytes], name: str, *, unprefixed: bool = False) -> Iterator[str]:
    """The XML of a part in pieces, each cut before a tag, in the form that the readers' expressions expect.

    That is without comments, CDATA sections and processing instructions.

    Args:
        chunks: Its bytes.
        name: Of the part, for errors.
        unprefixed: Take the prefix that the first element has off all names with it: some write `<x:row>` for `<row>`.

    Raises:
        DataError: It declares a document type, with which entities could multiply; or it is no XML in UTF-8, or has a
            tag or text without end.
    """
    prefix, rest = None, b""
    for chunk in chunks:
        if prefix is None:
            prefix = _prefix(chunk, name) if unprefixed else _prefix(chunk, name)[:0]
        xml = rest + chunk
        cut = _end_of_whole(xml)
        rest = xml[cut:]
        refuse_long(len(rest), name)
        yield _usual(xml[:cut], prefix, name)
    yield _usual(rest, prefix or b"", name)


def refuse_long(size: int, name: str) -> None:
    """Raise `DataError` for a tag or text of more bytes than any program writes."""
    if size > MAX_TEXT_BYTES:
        raise DataError(
            f"a tag or text in {brief(name)} is longer than {MAX_TEXT_BYTES >> 20} MB",
            hint="no spreadsheet program writes that; save the data again",
        )


def _prefix(first: bytes, name: str) -> bytes:
    """The prefix of the first element's name, or b""."""
    if found := _PROLOG.match(first):
        return found[1] or b""
    what = "declares a document type" if b"<!DOCTYPE" in first else "is not XML in UTF-8"
    raise DataError(
        f"the part {brief(name)} of the workbook {what}",
        hint="no spreadsheet program writes that; save the data again with one",
    )


def _end_of_whole(xml: bytes) -> int:
    """Where to cut XML so that no tag, comment or section is in two: before the last that may go on."""
    after = 0
    for begin, _, after in _sections(xml):
        if after < 0:
            return begin
    return max(xml.rfind(b"<", after), after)


def _sections(xml: bytes) -> Iterator[tuple[int, bytes, int]]:
    """Comments, CDATA sections and instructions: where each begins, its opening, where it ends; -1 if it goes on."""
    if not _has_sections(xml):
        return
    after = 0
    while found := _SECTION.search(xml, after):
        begin = found.start()
        opening, closing = next(pair for pair in _SECTIONS if xml.startswith(pair[0], begin))
        end = xml.find(closing, begin + len(opening))
        after = end + len(closing) if end >= 0 else -1
        yield begin, opening, after
        if after < 0:
            return


def _has_sections(xml: bytes) -> bool:
    """Whether there is a comment, CDATA section or instruction in it; quick where there is none."""
    return (b"!" in xml and b"<!" in xml) or (b"?" in xml and b"<?" in xml)


def _usual(xml: bytes, prefix: bytes, name: str) -> str:
    if _has_sections(xml):
        xml = b"".join(_without_sections(xml))
    if prefix:
        xml = xml.replace(b"<" + prefix + b":", b"<").replace(b"</" + prefix + b":", b"</")
    try:
        return xml.decode()
    except UnicodeDecodeError as error:
        raise DataError(
            f"byte 0x{xml[error.start]:02x} in the part {brief(name)} of the workbook is not UTF-8",
            hint="open it with a spreadsheet program and save it again",
        ) from None


def _without_sections(xml: bytes) -> Iterator[bytes]:
    at = 0
    for begin, opening, after in _sections(xml):
        yield xml[at:begin]
        if after < 0:
            return
        if opening == _CDATA:
            text = xml[begin + len(opening) : after - len(b"]]>")]
            yield text.replace(b"&", b"&amp;").replace(b"<", b"&lt;")
        at = after
    yield xml[at:]


def attributes(tag: str) -> dict[str, str]:
    """The attributes of a tag, by name; the first of two with the same."""
    return {name: unescaped(one or other) for name, one, other in reversed(_ATTRIBUTE.findall(tag))}


def unescaped(text: str) -> str:
    r"""What a text of XML says.

    Examples:
        >>> unescaped("R&amp;D &#8364;\r\n")
        'R&D €\n'
    """
    if "\r" in text:
        text = text.replace("\r\n", "\n").replace("\r", "\n")  # XML 1.0, section 2.11
    return _ENTITY.sub(_character, text) if "&" in text else text


def plain(text: str) -> str:
    r"""What a text of a sheet in an Excel workbook says, which has escapes of its own.

    Examples:
        >>> plain("R&amp;D _x0041_"), plain("a_x000D_\nb")
        ('R&D A', 'a\r\nb')
    """
    text = unescaped(text)
    return _ESCAPE.sub(_character_of, text) if "_x" in text else text  # ECMA-376 part 1, section 22.9.2.19


def plain_all(texts: Sequence[str]) -> Sequence[str]:
    """What texts of XML say; most say what is written."""
    joined = "\n".join(texts)
    if not ("&" in joined or "_x" in joined or "\r" in joined):
        return texts
    return [plain(text) if "&" in text or "_x" in text or "\r" in text else text for text in texts]


def _character(entity: re.Match[str]) -> str:
    decimal, hexadecimal, name = entity.groups()
    if name:
        return _NAMED[name]
    code = int(decimal) if decimal else int(hexadecimal, 16)
    return chr(code) if code < 0xD800 or 0xDFFF < code <= 0x10FFFF else "\ufffd"


def _character_of(escapes: re.Match[str]) -> str:
    units = b"".join(int(code, 16).to_bytes(2, "little") for code in escapes[0].strip("_x").split("__x"))
    return units.decode("utf-16-le", "replace")


def runs(rich: str) -> str:
    """The text of all runs of a rich text, without the phonetic signs above it.

    Examples:
        >>> runs("<r><t>Tokyo </t></r><r><rPr><b/></rPr><t>2024</t></r>")
        'Tokyo 2024'
    """
    if "<rPh" in rich:
        first, *more = rich.split("<rPh")
        rich = first + "".join(part.partition("</rPh>")[2] for part in more)
    return plain("".join(_RUN.findall(rich)))
