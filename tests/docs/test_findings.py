"""The page of findings has every code and every fix that there is, and no other; links between them lead somewhere."""

from __future__ import annotations

import ast
import codecs
import re
from collections import Counter
from pathlib import Path

from tests.docs import findings_page
from tunekit.data.checks import catalogue as checks
from tunekit.data.findings import SEVERITIES
from tunekit.data.fixes import catalogue as fixes
from tunekit.data.shapes.catalogue import shapes

DATA = Path(__file__).resolve().parents[2] / "src" / "tunekit" / "data"
_HYPHENATED = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)+")
# Checks declare their codes, and reports only show them.
_OTHERS = ("checks", "rendering")


def is_encoding(word: str) -> bool:
    try:
        codecs.lookup(word)
    except LookupError:
        return False
    return True


def noted_codes() -> set[str]:
    """Codes of the findings that are made elsewhere than in checks: while files are read and shapes are chosen.

    In a module that makes findings, every hyphenated word is a code, unless it is the name of something else.
    """
    names = {fix.name for fix in fixes.builtin()} | {shape.name for shape in shapes()}
    found: set[str] = set()
    for path in DATA.rglob("*.py"):
        text = path.read_text(encoding="utf-8")
        if path.parent.name in _OTHERS or ("Finding(" not in text and ".finding(" not in text):
            continue
        words = {
            node.value
            for node in ast.walk(ast.parse(text))
            if isinstance(node, ast.Constant)
            and isinstance(node.value, str)
            and _HYPHENATED.fullmatch(node.value)
        }
        found |= {word for word in words - names if not is_encoding(word)}
    return found


def test_every_code_is_explained_and_no_other() -> None:
    made = {code for check in checks.builtin() for code in check.codes} | noted_codes()
    assert {"guessed-shape", "skipped-rows", "assumed-cp1252", "merged-cells"} <= noted_codes()
    assert {entry.name for entry in findings_page.findings()} == made


def test_every_fix_is_explained_in_the_order_in_which_they_run() -> None:
    shown = [(entry.name, entry.first, entry.says) for entry in findings_page.fixes()]
    assert shown == [(fix.name, (fix.safety,), fix.says) for fix in fixes.builtin()]


def test_every_fix_is_a_sentence() -> None:
    for fix in fixes.builtin():
        assert fix.says[0].isupper() and fix.says.endswith("."), fix.name


def test_anchors_are_the_names_and_stand_once() -> None:
    entries = [*findings_page.findings(), *findings_page.fixes()]
    headings = re.findall(
        r"^#+ .*\{ #([a-z-]+) \}$", findings_page.PAGE.read_text(encoding="utf-8"), re.MULTILINE
    )
    assert all(entry.anchor == entry.name for entry in entries)
    times = Counter([*headings, *(entry.anchor for entry in entries)])
    assert [anchor for anchor, count in times.items() if count > 1] == []


def test_fixes_are_linked_by_their_own_names() -> None:
    known = {entry.name for entry in findings_page.fixes()}
    links = [link for entry in findings_page.findings() for link in entry.links]
    assert links
    assert all(name == anchor and name in known for name, anchor in links)


def test_severities_are_named_from_the_most_severe() -> None:
    for entry in findings_page.findings():
        assert list(entry.first) == [each for each in SEVERITIES if each in entry.first], entry.name


def test_a_fix_that_runs_unasked_is_said_to() -> None:
    safety = {fix.name: fix.safety for fix in fixes.builtin()}
    for entry in findings_page.findings():
        for name, _ in entry.links:
            assert ("unasked" in entry.says) == (safety[name] == "lossless"), entry.name
