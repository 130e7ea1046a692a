"""The tables of docs/real-data.md: what is recognised in each real file, and what is found in it.

Knows how they are laid out. `python -m tests.real.real_table` writes them anew; the tests say where they are stale.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tunekit as tk
from tests.conftest import ROOT, SHARED_DATA
from tests.real.real_files import FILES, RealFile
from tunekit.data.findings import Finding
from tunekit.errors import DataError

PAGE = ROOT / "docs" / "real-data.md"
_RECOGNISED = "| file | rows | becomes | read as | passed |\n|---|---:|---|---|---|\n"
_REFUSED = "| file | is refused, because |\n|---|---|\n"
_FOUND = "| file | errors and warnings, with rows | worth knowing |\n|---|---|---|\n"
# What nearly every report has, and what the first table says already.
_USUAL = frozenset({"lengths", "token-lengths", "guessed-shape", "guessed-columns"})
_DELIMITERS = {",": "commas", "\t": "tabs", ";": "semicolons", "|": "pipes"}


@dataclass(frozen=True, slots=True)
class Look:
    """What loading and checking a file came to: the data and the report, or why it is refused."""

    data: tk.Dataset | None
    report: tk.CheckReport | None
    refusal: str = ""

    @classmethod
    def at(cls, file: RealFile, folder: Path) -> Look:
        """Load it and check it."""
        try:
            data = file.load(folder)
        except DataError as error:
            return cls(None, None, error.message)
        return cls(data, data.check())


def rows(file: RealFile, look: Look) -> tuple[str, ...]:
    """What the tables say of a file: one row where it is refused, else one in each of two tables."""
    if look.data is None or look.report is None:
        return (f"| `{file.name}` | {_cut(look.refusal)} |",)
    kinds = ", ".join(sorted(look.data.kinds))
    read_as = f"{', '.join(_format(look.data.source))}; {_shape(look.report)}"
    recognised = f"| `{file.name}` | {len(look.data):,} | {kinds} | {read_as} | {_passed(file)} |"
    serious = [_counted(found) for found in look.report if found.severity != "info"]
    told = [
        f"`{found.code}`" for found in look.report if found.severity == "info" and found.code not in _USUAL
    ]
    return recognised, f"| `{file.name}` | {', '.join(serious)} | {', '.join(told)} |"


def _format(facts: Any) -> Iterator[str]:
    yield facts.get("format", "two texts")
    yield from (facts[key] for key in ("compression", "encoding", "layout") if key in facts)
    if "sheet" in facts:
        yield f'sheet "{facts["sheet"]}"'
    if "unit" in facts:
        yield f"a row for each {facts['unit']}"
    if "delimiter" in facts:
        yield _DELIMITERS[facts["delimiter"]]
        yield from () if facts["quoting"] else ("quotes are text",)
    header = facts.get("header", 1)
    if header != 1:
        yield f"header on row {header}" if header else "no header"


def _shape(report: tk.CheckReport) -> str:
    if "guessed-columns" in report:
        facts = report["guessed-columns"].facts
        return f"guessed `{facts['input']}` to `{facts['target']}`"
    shape = report.source["shape"]
    return "the columns that were named" if shape == "columns" else f"`{shape}`"


def _passed(file: RealFile) -> str:
    if file.answers:
        return f"`from_parallel`, with `{Path(file.answers).name}`"
    said = ", ".join(f"{name}={_literal(value)}" for name, value in file.options.items())
    return f"`{said}`" if said else ""


def _literal(value: Any) -> str:
    if isinstance(value, list):
        return f"[{', '.join(map(_literal, value))}]"
    return f'"{value}"'.replace("\n", "\\n")


def _counted(found: Finding) -> str:
    return f"`{found.code}` {len(found.rows):,}" if found.rows else f"`{found.code}`"


def _cut(text: str, most: int = 160) -> str:
    return (text if len(text) <= most else f"{text[: most - 3]}...").replace("|", "\\|")


# --- the page -----------------------------------------------------------------------------------------


def shown() -> list[str]:
    """The rows of all tables that the page has now."""
    return re.findall(r"^\| `.*\|$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)


def write() -> None:
    """Write the tables of the page anew, in the places of the old ones."""
    found = [rows(file, Look.at(file, SHARED_DATA)) for file in FILES]
    tables = {
        _RECOGNISED: [each[0] for each in found if len(each) == 2],
        _REFUSED: [each[0] for each in found if len(each) == 1],
        _FOUND: [each[1] for each in found if len(each) == 2],
    }
    text = PAGE.read_text(encoding="utf-8")
    for head, lines in tables.items():
        before, head, after = text.partition(head)
        kept = re.sub(r"\A(?:\|.*\n)*", "", after)
        text = f"{before}{head}" + "".join(f"{line}\n" for line in lines) + kept
    PAGE.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    write()
