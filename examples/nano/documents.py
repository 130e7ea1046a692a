"""Rows from documentation that packages carry: HTML manuals, API docstrings, novels. Knows their markup, no weights."""

from __future__ import annotations

import ast
import re
import struct
import zlib
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

from nano.packages import debian, wheel
from nano.rows import Row, article, chat, clean, dice, pieces, prose, sentence_case

PYTHON_PARTS = ("faq", "tutorial", "howto", "using", "library", "reference")
PROSE_SHARE = 0.35
ABOUT = (
    "What does the {p} manual say about {h}?",
    "Tell me about {h} in {p}.",
    "{p}: {h}",
    "Explain {h} in {p}.",
)


def python_manual(cache: Path) -> Iterator[Row]:
    """The Python documentation."""
    root = debian("python3.11-doc", cache) / "usr/share/doc/python3.11/html"
    for part in PYTHON_PARTS:
        for page in sorted((root / part).glob("*.html")):
            yield from manual_page("Python", page)


def sqlite_manual(cache: Path) -> Iterator[Row]:
    """The SQLite documentation."""
    root = debian("sqlite3-doc", cache) / "usr/share/doc/sqlite3"
    for page in sorted(root.glob("*.html")):
        if not page.name.startswith(("releaselog", "changes", "vdbe", "c3ref", "requirements")):
            yield from manual_page("SQLite", page)


def manual_page(product: str, page: Path) -> Iterator[Row]:
    """One page: each section as a question about its heading, and its text as prose."""
    reader = _Sections()
    reader.feed(page.read_text(encoding="utf-8", errors="replace"))
    reader.close()
    for heading, paragraphs in reader.sections():
        group = f"{page.name}#{heading}"
        body = "\n".join(paragraphs)
        answer = pieces(body, 600)[:1]
        if heading and answer and len(heading) < 120:
            title = re.sub(r"^\(?[\d.]+\)?\s*", "", heading)
            question = title if title.endswith("?") else dice(group).choice(ABOUT).format(p=product, h=title)
            yield chat(group, (question, answer[0]))
        for number, piece in enumerate(pieces(body, 1000)):
            # Technical prose would outweigh all other prose: a third of it is enough.
            if dice(f"{group}:{number}").random() < PROSE_SHARE:
                yield prose(group, piece)


class _Sections(HTMLParser):
    """Collects (heading, paragraphs); code blocks, tables and page furniture are skipped."""

    SKIP = frozenset({"script", "style", "pre", "table", "nav", "head", "form", "svg"})
    BREAK = frozenset({"p", "li", "dd", "dt", "h1", "h2", "h3", "h4"})

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self._found: list[tuple[str, list[str]]] = [("", [])]
        self._text: list[str] = []
        self._skipped: list[str] = []
        self._heading = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in self.SKIP or ("role", "navigation") in attrs:
            self._skipped.append(tag)
        elif self._skipped:
            self._skipped += [tag] if tag == self._skipped[-1] else []
        elif tag in self.BREAK:
            self._flush()
            self._heading = tag in {"h1", "h2", "h3", "h4"}

    def handle_endtag(self, tag: str) -> None:
        if self._skipped:
            if tag == self._skipped[-1]:
                self._skipped.pop()
        elif tag in self.BREAK:
            self._flush()

    def handle_data(self, data: str) -> None:
        if not self._skipped:
            self._text.append(data)

    def sections(self) -> list[tuple[str, list[str]]]:
        self._flush()
        return self._found

    def _flush(self) -> None:
        text = " ".join("".join(self._text).replace("¶", "").split())
        self._text = []
        asked = re.match(r"\(\d+\) .*\?$", text)  # how the SQLite FAQ writes its headings
        if self._heading or asked:
            self._heading = False
            if text:
                self._found.append((text, []))
        elif len(text) >= 60 and text.endswith((".", "!", "?", ":")):
            self._found[-1][1].append(text)


def payments(cache: Path) -> Iterator[Row]:
    """What things are called in a payments service: docstrings of the stripe package."""
    return api_docstrings("stripe", cache)


def commerce(cache: Path) -> Iterator[Row]:
    """What things are called in a shop: docstrings of the squareup package."""
    return api_docstrings("squareup", cache)


def api_docstrings(project: str, cache: Path) -> Iterator[Row]:
    """Each distinct docstring of a class or a field once, as the answer to a question about it."""
    seen: set[str] = set()
    for path in sorted(wheel(project, cache).rglob("*.py")):
        for owner, field, text in _docstrings(ast.parse(path.read_text(encoding="utf-8"))):
            answer = _plain_docstring(text)
            if len(answer) < 30 or len(answer.split()) < 6 or answer in seen:
                continue
            seen.add(answer)
            draw = dice(answer)
            owned = article(_spaced(owner).removesuffix(" params"))
            question = draw.choice(_OF_FIELD if field else _OF_CLASS).format(f=_spaced(field), o=owned)
            yield chat(answer, (question, answer))


def _docstrings(tree: ast.Module) -> Iterator[tuple[str, str, str]]:
    """(class, field or "", docstring) for classes and for annotated fields with a string below them."""
    for node in ast.walk(tree):
        if not isinstance(node, ast.ClassDef):
            continue
        if ast.get_docstring(node):
            yield node.name, "", ast.get_docstring(node) or ""
        for above, below in zip(node.body, node.body[1:], strict=False):
            if isinstance(above, ast.AnnAssign) and isinstance(above.target, ast.Name):
                value = below.value if isinstance(below, ast.Expr) else None
                if isinstance(value, ast.Constant) and isinstance(value.value, str):
                    yield node.name, above.target.id, value.value


def _plain_docstring(text: str) -> str:
    text = re.split(r"\n\s*(?:Parameters|Returns|Attributes)\s*\n\s*-{3,}", text)[0]
    text = re.sub(r"\[([^\]]+)\]\([^)]*\)", r"\1", re.sub(r"<[^>]+>", " ", text))
    text = " ".join(clean(text).replace("`", "").replace("**", "").split())
    kept = pieces(text, 400)
    return sentence_case(kept[0]) if kept else sentence_case(text) if len(text) < 80 else ""


def _spaced(name: str) -> str:
    """`BillingPortalSession` and `billing_portal_session` as words."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|_+", " ", name).strip().lower()


def novels(cache: Path) -> Iterator[Row]:
    """Jane Austen's six novels (public domain), from an R package that carries their lines."""
    folder = debian("r-cran-janeaustenr", cache) / "usr/lib/R/site-library/janeaustenr/data"
    data = (folder / "Rdata.rdb").read_bytes()
    start = 0
    while start < len(data):
        reader = zlib.decompressobj()
        lines = list(_r_strings(reader.decompress(data[start + 4 :])))
        start = len(data) - len(reader.unused_data)
        for number, chapter in enumerate(
            re.split(r"\n\s*chapter \w+\s*\n", "\n".join(lines), flags=re.IGNORECASE)
        ):
            joined = re.sub(r"(?<!\n)\n(?!\n)", " ", chapter).replace("_", "").replace("--", " - ")
            for piece in pieces(joined, 1000):
                yield prose(f"{lines[0]}:{number}", piece)


def _r_strings(blob: bytes) -> Iterator[str]:
    """The strings of a serialised R character vector (R Internals, section 1.8): flags, length, bytes."""
    mark = blob.index(b"\x00\x04\x00\x09")
    while blob[mark : mark + 1] == b"\x00" and blob[mark + 3 : mark + 4] == b"\x09":
        (size,) = struct.unpack(">i", blob[mark + 4 : mark + 8])
        mark += 8 + max(size, 0)
        yield blob[mark - max(size, 0) : mark].decode("utf-8", errors="replace")


_OF_FIELD = (
    "What is the {f} of {o}?", "What does {f} mean for {o}?", "Explain the {f} of {o}.", "I have {o}. What is its {f}?",
)  # fmt: skip
_OF_CLASS = ("What is {o}?", "Explain what {o} is.", "What does it mean to have {o}?", "Tell me about {o}.")
