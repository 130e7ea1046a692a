"""Every example in a docstring runs and gives what it shows; every public name that a user constructs has one."""

from __future__ import annotations

import doctest
import importlib
import inspect
import re
from pathlib import Path

import pytest

import tunekit

SRC = Path(__file__).resolve().parents[2] / "src"
FILES = sorted(path for path in SRC.rglob("*.py") if ">>>" in path.read_text(encoding="utf-8"))


def module_name(path: Path) -> str:
    return ".".join(path.relative_to(SRC).with_suffix("").parts).removesuffix(".__init__")


@pytest.mark.parametrize("path", FILES, ids=module_name)
def test_docstring_examples(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    module = importlib.import_module(module_name(path))
    failed, tried = doctest.testmod(module, verbose=False, optionflags=doctest.NORMALIZE_WHITESPACE)
    assert tried > 0, f"{path} shows an example that doctest does not see"
    assert failed == 0, f"{failed} examples of {path} do not give what they show (see stdout)"


@pytest.mark.parametrize("path", FILES, ids=module_name)
def test_examples_stand_in_a_section_that_the_docs_builder_knows(path: Path) -> None:
    # griffe knows "Examples:"; under "Example:" Markdown would make a quotation of every `>>>`.
    assert not re.search(r"^\s+Example:$", path.read_text(encoding="utf-8"), flags=re.MULTILINE)


def constructed_by_users() -> list[str]:
    """Public classes and functions; not errors, warnings and events, which tunekit makes itself, nor siblings."""
    values = {item: getattr(tunekit, item) for item in tunekit.__all__}
    made_here = (BaseException, *inspect.getmro(tunekit.Step)[1:-1])
    return [
        item
        for item, value in values.items()
        if callable(value)
        and not item.endswith("_async")
        and not (isinstance(value, type) and issubclass(value, made_here))
    ]


@pytest.mark.parametrize("item", constructed_by_users())
def test_public_name_shows_an_example(item: str) -> None:
    value = getattr(tunekit, item)
    if getattr(value, "__module__", "").startswith("tunekit"):
        assert ">>>" in (value.__doc__ or ""), f"tunekit.{item} has no runnable example in its docstring"
