"""Which encoding a file's text has, and its decoding. Knows byte patterns and codecs; not what a line means.

A byte order mark says it; else bytes that are valid UTF-8 are UTF-8, NULs beside ASCII are UTF-16 or UTF-32, and what
is left is read as cp1252 (Windows, Western European) with a warning that lists every such line.

That last choice is made line by line, from the evidence so far, and not once for the file by reading it twice: it
costs nothing, it is the same for a pipe, and a file of several origins (one bad byte among 5,452 lines of good UTF-8)
keeps its good lines. While the file has shown more stray bytes than characters of UTF-8, a line is cp1252 as a whole,
even one that happens to be valid UTF-8; otherwise only its stray bytes are.
"""

from __future__ import annotations

import codecs
import io
import re
from collections import deque
from dataclasses import dataclass

from tunekit.data.findings import evidence
from tunekit.data.readers.base import Notes
from tunekit.data.readers.counted import Counted
from tunekit.errors import DataError, SpecError

_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),  # before UTF-16, whose mark it begins with
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
    (b"\x84\x31\x95\x33", "gb18030"),
)
_UNMARKED = ("utf-32-le", "utf-32-be", "utf-16-le", "utf-16-be")
_SAMPLE_BYTES = 4096
_LEAST_ASCII = 0.3

_STRAY = re.compile("[\udc80-\udcff]+")
# Eight letters beyond ASCII in a row, of five kinds, are a word of another alphabet; no Western language has one.
_FOREIGN_WORD = re.compile(rb"[\x80-\xff]{8,}")
_FOREIGN_KINDS = 5
# What UTF-8 would be of U+D800 to U+DFFF, and is not: those are halves of characters in UTF-16.
_HALF_CHARACTER = re.compile("\udced[\udca0-\udcbf][\udc80-\udcbf]")
_UNDEFINED = re.compile("[\udc81\udc8d\udc8f\udc90\udc9d]")  # in cp1252
_BEYOND_ASCII = re.compile(r"[^\x00-\x7f]")

_OTHERS = 'such as "cp1251" (Cyrillic), "gb18030" (Chinese), "shift_jis" (Japanese) or "euc_kr" (Korean)'
_NUL = 'if this is UTF-16 text, pass encoding="utf-16"; else the file is binary or damaged'


@dataclass(frozen=True, slots=True)
class Encoding:
    """What a file's text is encoded in.

    Attributes:
        name: For people, as Python calls it.
        named: By the caller, and so strict; otherwise by recognition, and stray bytes are cp1252.
    """

    name: str
    named: bool = False

    @property
    def codec(self) -> str:
        """What decodes it. The mark of UTF-8 is taken off with those of other encodings, from the first line."""
        return "utf-8" if self.is_utf8 else self.name

    @property
    def is_utf8(self) -> bool:
        """Whether ASCII and JSON are themselves in it, and it is the one that lines may stray from."""
        return codecs.lookup(self.name).name in ("utf-8", "utf-8-sig")

    @property
    def is_narrow(self) -> bool:
        """Whether a newline is the byte 10 in it, and never a part of another character."""
        return "\n".encode(self.name).removeprefix(codecs.BOM_UTF8) == b"\n"


def check(encoding: str) -> None:
    """Raise `SpecError` unless Python knows this text encoding."""
    try:
        "\n".encode(encoding)
    except (LookupError, ValueError):
        raise SpecError(
            f"unknown encoding {encoding!r}", hint="common ones are utf-8, cp1252 and utf-16"
        ) from None


def recognised(head: bytes, named: str | None = None) -> Encoding:
    r"""The encoding of text that begins with these bytes.

    Args:
        head: The first few kilobytes.
        named: What the caller says it is.

    Examples:
        >>> recognised("id,text".encode("utf-16-be")).name
        'utf-16-be'
        >>> recognised(b"id,caf\xe9").name  # until a line shows otherwise
        'utf-8'
    """
    if named is not None:
        return Encoding(_with_order(named, head), named=True)
    for mark, name in _MARKS:
        if head.startswith(mark):
            return Encoding(name)
    return Encoding(_unmarked(head) or "utf-8")


def _with_order(named: str, head: bytes) -> str:
    """Python's "utf-16" and "utf-32" want a byte order mark; where there is none, the bytes show their order."""
    if codecs.lookup(named).name in ("utf-16", "utf-32") and not any(
        head.startswith(mark) for mark, _ in _MARKS
    ):
        return _unmarked(head) or named
    return named


def _unmarked(head: bytes) -> str | None:
    sample = head[:_SAMPLE_BYTES]
    return next((codec for codec in _UNMARKED if b"\0" in sample and _fits(codec, sample)), None)


def _fits(codec: str, sample: bytes) -> bool:
    """Whether this is text with a fair share of ASCII, as every table and all JSON have, and no NUL as a character."""
    try:
        text = codecs.getincrementaldecoder(codec)().decode(sample)
    except UnicodeError:
        return False
    return "\0" not in text and sum(map(str.isascii, text)) > _LEAST_ASCII * len(text)


class Decoder:
    """The text of one file, from its bytes, with an account of what was odd in it.

    Attributes:
        encoding: As recognised.
        marks: Lines of the text given out so far that are not plainly what the file says they are: the number, and
            why the line cannot be used, or None where it was read as cp1252. Told off by `settle`.
        multibyte: How much UTF-8 beyond ASCII there was; who decodes lines elsewhere adds to it.
    """

    def __init__(self, encoding: Encoding) -> None:
        self.encoding = encoding
        self.marks: deque[tuple[int, DataError | None]] = deque()
        self._codec = encoding.codec
        self._lenient = encoding.is_utf8 and not encoding.named
        self.multibyte = 1 if encoding.name == "utf-8-sig" else 0  # its mark is UTF-8 beyond ASCII, too
        self._stray = 0
        self._odd = Counted()

    def block(self, raw: bytes | str, number: int) -> str:
        """Text of whole lines, the first of which has this number; they may have been decoded already."""
        if isinstance(raw, str):
            return self.checked(raw, number)
        try:
            text = raw.decode(self._codec)
        except UnicodeDecodeError:
            return self._by_line(raw, number)
        if "\0" in text or (self._is_cp1252 and not text.isascii()):
            return self._by_line(raw, number)
        self.multibyte += len(raw) - len(text)
        return text

    def _by_line(self, raw: bytes, number: int) -> str:
        return "".join(self.line(line, at) for at, line in enumerate(raw.splitlines(keepends=True), number))

    def line(self, raw: bytes, number: int) -> str:
        """Text of one line; where it cannot be decoded, something like it, and a mark."""
        try:
            text = raw.decode(self._codec)
            if self._is_cp1252 and not text.isascii():
                text = self._as_cp1252(raw, number)
            else:
                self.multibyte += len(raw) - len(text)
        except UnicodeDecodeError as error:
            if self._lenient:
                text = self._as_cp1252(raw, number)
            else:
                self._refuse(number, _undecodable(raw, error.start, self.encoding.name.upper()))
                text = raw.decode(self._codec, "replace")
        return self.checked(text, number)

    def checked(self, text: str, number: int) -> str:
        """The same text, once its lines that hold a NUL are marked; the first has this number."""
        if "\0" in text:
            for at, line in enumerate(io.StringIO(text, newline=""), number):
                if "\0" in line:
                    self._refuse(at, DataError("the line holds a NUL byte", hint=_NUL))
        return text

    @property
    def _is_cp1252(self) -> bool:
        return self._lenient and self._stray > self.multibyte

    def _as_cp1252(self, raw: bytes, number: int) -> str:
        loose = raw.decode("utf-8", "surrogateescape")
        stray = len(loose) - len(_STRAY.sub("", loose))
        self.multibyte += len(raw) - len(loose)
        self._stray += stray
        if not stray and not self._is_cp1252:
            return loose
        self._refuse_foreign(raw, loose, number)
        try:
            text = raw.decode("cp1252") if self._is_cp1252 else _STRAY.sub(_stray_as_cp1252, loose)
        except UnicodeDecodeError as error:
            at = error.start if self._is_cp1252 else _bytes_before(_UNDEFINED, loose)
            self._refuse(number, _undecodable(raw, at, "UTF-8 or cp1252"))
            return raw.decode("utf-8", "replace")
        self.marks.append((number, None))
        return text

    def _refuse_foreign(self, raw: bytes, loose: str, number: int) -> None:
        if _HALF_CHARACTER.search(loose):
            said = "the line holds half a surrogate pair, which is not a character"
            hint = "whatever wrote this file cut a character (often an emoji) in two"
            self._refuse(number, DataError(said, hint=hint))
        pieces = [raw] if self._is_cp1252 else [_bytes(stray) for stray in _STRAY.findall(loose)]
        words = (word[0] for piece in pieces for word in _FOREIGN_WORD.finditer(piece))
        word = next((word for word in words if len(set(word)) >= _FOREIGN_KINDS), b"")
        if word:
            said = f"not UTF-8, and no Western European text either: it holds {word[:8]!r}"
            self._refuse(number, DataError(said, hint=f"pass encoding= with the file's own, {_OTHERS}"))

    def _refuse(self, number: int, error: DataError) -> None:
        error.line = number
        self.marks.append((number, error))

    def settle(self, last: int) -> tuple[bool, DataError | None]:
        """Whether a line up to this one was read as cp1252, and why one of them cannot be used. Tells each once."""
        odd, problem = False, None
        while self.marks and self.marks[0][0] <= last:
            _, error = self.marks.popleft()
            odd, problem = odd or error is None, problem or error
        return odd, problem

    def note(self, row: str, field: str, text: str) -> None:
        """Put a row with text read as cp1252 on the list; once for each field with such text."""
        found = _BEYOND_ASCII.search(text)
        at = found.start() if found else 0
        self._odd.add(row, field, evidence(text, at, at + 1))

    def finish(self, notes: Notes) -> None:
        """Say what was decided, once the last row has been read."""
        if self._odd.count:
            notes.facts["encoding"] = "cp1252" if self._is_cp1252 else "utf-8 with cp1252 in places"
            notes.findings.append(
                self._odd.finding(
                    "assumed-cp1252",
                    "warning",
                    "bytes that are not UTF-8 in {rows}, read as cp1252 (Windows, Western European);"
                    " pass encoding= if they look wrong",
                    bytes=self._stray,
                )
            )


def _bytes(loose: str) -> bytes:
    return loose.encode("utf-8", "surrogateescape")


def _stray_as_cp1252(stray: re.Match[str]) -> str:
    return _bytes(stray[0]).decode("cp1252")


def _bytes_before(found: re.Pattern[str], loose: str) -> int:
    match = found.search(loose)
    return len(_bytes(loose[: match.start()])) if match else 0


def _undecodable(raw: bytes, at: int, encoding: str) -> DataError:
    return DataError(
        f"byte 0x{raw[at]:02x} at position {at + 1} of the line is not {encoding}",
        hint=f"leave encoding= out, or pass the file's own, {_OTHERS}",
    )
