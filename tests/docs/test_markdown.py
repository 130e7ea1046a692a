"""Every Python block of the README and the docs runs, page by page, as a reader would paste them one after another."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.docs.blocks import Block, blocks
from tests.wire.faults import FaultyServer
from tests.wire.service import Service

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "examples").glob("*/*.md")])
NANO = "examples/models/nano"
# Enough rows for every intent to be on both sides of a split, few enough to train on in seconds.
ROWS = 80


@pytest.fixture
def checkout(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What the pages take for granted: the examples of a checkout, with a shorter ticket file for those that train."""
    examples = tmp_path / "examples"
    (examples / "data").mkdir(parents=True)
    if (ROOT / "examples" / "models").is_dir():
        (examples / "models").symlink_to(ROOT / "examples" / "models")
    tickets = ROOT / "examples" / "data" / "support_tickets.csv"
    if tickets.is_file():
        lines = tickets.read_text(encoding="utf-8").splitlines(keepends=True)
        rows = ROWS if NANO in page.read_text(encoding="utf-8") else len(lines)
        (examples / "data" / tickets.name).write_text("".join(lines[: rows + 1]), encoding="utf-8")
        shutil.copy(examples / "data" / tickets.name, tmp_path / "tickets.csv")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def account(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """What pages about OpenAI take for granted: an account with a tuned model, here on this machine."""
    service = Service()
    name = "ft:gpt-4.1-mini-2025-04-14:acme:tickets:A1"
    service.models[name] = {"id": name, "object": "model", "created": 1, "shutdown_date": "2027-01-14"}
    with FaultyServer(service) as server:
        monkeypatch.setenv("OPENAI_BASE_URL", f"{server.url}/v1")
        monkeypatch.setenv("OPENAI_API_KEY", "sk-of-the-stand-in")
        yield


@pytest.mark.parametrize("page", [p for p in PAGES if any(blocks(p))], ids=lambda p: str(p.relative_to(ROOT)))
@pytest.mark.timeout(300)
@pytest.mark.usefixtures("checkout", "account")
def test_page_runs(page: Path) -> None:
    namespace: dict[str, Any] = {"__name__": "__docs__"}
    if NANO in page.read_text(encoding="utf-8") and not Path(NANO, "model.safetensors").is_file():
        pytest.skip(f"its blocks train {NANO}, which is not in this checkout")
    for block in blocks(page):
        if not block.reason:
            # Blank lines in front, so that a traceback names the line of the page.
            exec(compile("\n" * (block.line - 1) + block.code, str(page), "exec"), namespace)


def test_blocks_are_found_with_their_lines_and_excuses(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        "# T\n\n```python\na = 1\n```\n\n<!-- not run: needs a key -->\n```python\nb = 2\n```\n\n"
        "- item\n\n  ```python title='c'\n  if c:\n      d()\n  ```\n\n```bash\nls\n```\n"
    )
    assert list(blocks(page)) == [
        Block(line=4, code="a = 1\n", reason=""),
        Block(line=9, code="b = 2\n", reason="needs a key"),
        Block(line=15, code="if c:\n    d()\n", reason=""),
    ]
