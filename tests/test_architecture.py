"""The shape of the house, as DESIGN draws it: what a reviewer would otherwise have to watch for by eye."""

from __future__ import annotations

import ast
import json
import re
import statistics
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import TypeGuard

import pytest

import tunekit
from tunekit import errors

ROOT = Path(__file__).resolve().parent.parent
SRC = ROOT / "src" / "tunekit"
DEPENDENCIES = ("torch", "transformers", "peft", "httpx", "tiktoken", "tenacity", "numpy", "pydantic")
# What stays unloaded even when every public name has been touched; pydantic comes with the first spec.
HEAVY = tuple(name for name in DEPENDENCIES if name != "pydantic")
MAX_LINES = 400

Function = ast.FunctionDef | ast.AsyncFunctionDef


def files(*folders: str) -> list[Path]:
    """Python files of these folders, without hidden folders: what is in those was not written here."""
    found = (path for folder in folders for path in (ROOT / folder).rglob("*.py"))
    return sorted(
        path for path in found if not any(part.startswith(".") for part in path.relative_to(ROOT).parts)
    )


def parse(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), str(path))


def name(path: Path) -> str:
    return str(path.relative_to(ROOT))


def loaded_after(code: str) -> set[str]:
    """Top-level modules that a fresh interpreter holds after running `code`."""
    script = (
        f"{code}\nimport json, sys\nprint(json.dumps(sorted({{m.partition('.')[0] for m in sys.modules}})))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    return set(json.loads(done.stdout.splitlines()[-1]))


# --- files ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", files("src", "tests", "examples", "benchmarks"), ids=name)
def test_file_is_short_and_says_what_it_is(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert text.count("\n") <= MAX_LINES, (
        f"{name(path)} is too long to read in one sitting: split it by meaning"
    )
    assert ast.get_docstring(parse(path)), (
        f"{name(path)} has no module docstring: say what it knows and what it does not"
    )


def test_every_source_folder_is_a_package() -> None:
    # Without __init__.py a folder still imports, but import-linter and the wheel would pass it by in silence.
    folders = {path.parent for path in files("src")}
    assert [name(folder) for folder in sorted(folders) if not (folder / "__init__.py").is_file()] == []


def test_functions_are_small() -> None:
    lengths = [
        node.end_lineno - node.lineno + 1 - docstring_lines(node)
        for path in files("src")
        for node in ast.walk(parse(path))
        if isinstance(node, Function) and node.end_lineno is not None
    ]
    assert statistics.median(lengths) <= 12
    assert statistics.quantiles(lengths, n=10)[-1] <= 40


def docstring_lines(node: Function) -> int:
    if ast.get_docstring(node) is None:
        return 0
    first = node.body[0]
    return (first.end_lineno or first.lineno) - first.lineno + 1


def test_library_never_prints() -> None:
    calls = [
        f"{name(path)}:{node.lineno}"
        for path in files("src")
        for node in ast.walk(parse(path))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id in ("print", "input")
    ]
    assert calls == []


def test_every_module_stands_on_a_floor() -> None:
    config = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    floors = " ".join(config["tool"]["importlinter"]["contracts"][0]["layers"])
    children = {path.relative_to(SRC).parts[0].removesuffix(".py") for path in files("src")}
    homeless = [item for item in children if not re.search(rf"tunekit\.{item}\b", floors)]
    assert sorted(homeless) == ["__init__", "_version"], "give the new module a floor in pyproject.toml"


def test_floors_hold() -> None:
    linter = Path(sys.executable).with_name("lint-imports")
    done = subprocess.run([linter, "--no-logo"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


# --- the public surface ---------------------------------------------------------------------------


def test_import_loads_no_dependency() -> None:
    assert loaded_after("import tunekit; dir(tunekit)").isdisjoint(DEPENDENCIES)


def test_public_names_load_nothing_heavy() -> None:
    touch_all = "import tunekit\nfor name in tunekit.__all__: getattr(tunekit, name)"
    assert loaded_after(touch_all).isdisjoint(HEAVY)


def test_command_line_starts_without_dependencies() -> None:
    start = "from tunekit.cli import main\ntry: main(['--version'])\nexcept SystemExit: pass"
    assert loaded_after(start).isdisjoint(DEPENDENCIES)


def test_lazy_table_type_checking_block_and_all_agree() -> None:
    tree = parse(SRC / "__init__.py")
    block = next(
        node
        for node in tree.body
        if isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING")
    )
    seen_by_type_checkers = {
        alias.asname: f"{node.module}.{alias.name}"
        for node in block.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    exports: dict[str, tuple[str, ...]] = vars(tunekit)["_EXPORTS"]
    # A module is exported under its own last name, from itself.
    seen_at_run_time = {
        item: f"{module.removesuffix(f'.{item}')}.{item}"
        for module, items in exports.items()
        for item in items
    }
    assert seen_at_run_time == seen_by_type_checkers
    assert sorted(tunekit.__all__) == sorted([*seen_at_run_time, "__version__"])
    assert set(tunekit.__all__) <= set(dir(tunekit))


@pytest.mark.parametrize("item", tunekit.__all__)
def test_public_name_resolves_and_is_documented(item: str) -> None:
    value = getattr(tunekit, item)
    assert value is getattr(tunekit, item), "two look-ups must give one object"
    if isinstance(value, (type, ModuleType)) or callable(value):
        assert (value.__doc__ or "").strip(), f"tunekit.{item} has no docstring"
        assert not (value.__doc__ or "").startswith(f"{item}("), f"tunekit.{item} has a generated docstring"


def test_unknown_name_says_what_there_is() -> None:
    with pytest.raises(AttributeError, match=r"has no attribute 'Datset'.*Dataset"):
        getattr(tunekit, "Datset")  # noqa: B009 - type checkers refuse the plain look-up


# --- sync and async -------------------------------------------------------------------------------


def scopes() -> Iterator[tuple[str, dict[str, Function]]]:
    """Every module and class with the functions defined directly in it."""
    for path in files("src"):
        tree = parse(path)
        yield name(path), functions_in(tree.body)
        for node in ast.walk(tree):
            if isinstance(node, ast.ClassDef):
                yield f"{name(path)}:{node.name}", functions_in(node.body)


def functions_in(body: list[ast.stmt]) -> dict[str, Function]:
    return {node.name: node for node in body if isinstance(node, Function)}


def test_async_siblings_have_the_same_signature() -> None:
    pairs = 0
    for label, functions in scopes():
        for sibling in [item for item in functions if item.endswith("_async") and not item.startswith("_")]:
            blocking = functions.get(sibling.removesuffix("_async"))
            assert blocking is not None, f"{label}.{sibling} has no blocking sibling"
            assert isinstance(functions[sibling], ast.AsyncFunctionDef), (
                f"{label}.{sibling} is not a coroutine"
            )
            assert isinstance(blocking, ast.FunctionDef), f"{label}.{blocking.name} is a coroutine"
            assert ast.unparse(blocking.args) == ast.unparse(functions[sibling].args), f"{label}.{sibling}"
            assert returns(blocking) == returns(functions[sibling]), f"{label}.{sibling}"
            pairs += 1
    assert pairs, "no pair found: this test looks in the wrong place"


def returns(function: Function) -> str:
    return ast.unparse(function.returns) if function.returns else ""


def test_blocking_calls_have_an_async_sibling() -> None:
    lonely = [
        f"{label}.{item}"
        for label, functions in scopes()
        for item, function in functions.items()
        if label != PORTAL_HELPER and calls_portal(function) and not siblings(item) & functions.keys()
    ]
    assert lonely == []


def siblings(blocking: str) -> set[str]:
    """What its async sibling may be called: close and aclose, __enter__ and __aenter__ are Python's own pairs."""
    return {f"{blocking}_async", f"a{blocking}", blocking.replace("__", "__a", 1)}


# `telling.run` is how a blocking call with a progress callback gets to the portal, and no public call itself.
PORTAL_CALLS = ("_portal.run", "portal.run", "telling.run")
PORTAL_HELPER = "src/tunekit/evaluation/telling.py"


def calls_portal(function: Function) -> bool:
    return any(
        isinstance(node, ast.Call) and ast.unparse(node.func) in PORTAL_CALLS for node in ast.walk(function)
    )


# --- errors ---------------------------------------------------------------------------------------


def error_classes() -> list[type[errors.TunekitError]]:
    found = [
        item
        for item in vars(errors).values()
        if isinstance(item, type) and issubclass(item, errors.TunekitError)
    ]
    return sorted(found, key=lambda item: item.__name__)


def test_every_error_code_is_an_anchor_in_the_docs() -> None:
    text = (ROOT / "docs" / "errors.md").read_text(encoding="utf-8")
    documented = dict(re.findall(r"^#+ `(\w+)` \{ ?#([a-z-]+) ?\}$", text, flags=re.MULTILINE))
    assert documented == {item.__name__: item.code for item in error_classes()}


def test_error_codes_are_distinct() -> None:
    codes = [item.code for item in error_classes()]
    assert len(set(codes)) == len(codes)


def test_errors_live_in_one_file() -> None:
    # A narrower case of a documented error may stand where it is raised; a new error or a new code may not.
    documented = {item.__name__ for item in error_classes()}
    strays = [
        f"{name(path)}: {node.name}"
        for path in files("src")
        if path.name != "errors.py"
        for node in ast.walk(parse(path))
        if isinstance(node, ast.ClassDef) and is_error(node)
        if not {ast.unparse(base) for base in node.bases} & documented or "code" in names_assigned(node)
    ]
    assert strays == []


def is_error(node: ast.ClassDef) -> bool:
    """Whether the class is an error that callers may see.

    A private one only steers its own file, and a plain `BaseException` is a signal inside a child process.
    """
    bases = {ast.unparse(base) for base in node.bases} - {"BaseException"}
    return not node.name.startswith("_") and any(base.endswith(("Error", "Exception")) for base in bases)


def names_assigned(node: ast.ClassDef) -> set[str]:
    return {
        ast.unparse(target) for item in node.body if isinstance(item, ast.Assign) for target in item.targets
    }


def test_every_error_is_public() -> None:
    assert [item.__name__ for item in error_classes() if item.__name__ not in tunekit.__all__] == []


# Errors without a hint of their own, and why.
HINTLESS = {
    "MissingExtraError": "its class writes the hint: the pip command",
    "PartialError": "it has the hint of the first error in it",
    "Unreadable": "its class writes the hint, by the kind of failure",
    "src/tunekit/testing/scripted.py": "plays a service that breaks; what such a service says has no hint",
}


def test_every_error_says_what_to_do_next() -> None:
    calls = [(path, node) for path in files("src") for node in ast.walk(parse(path)) if is_error_made(node)]
    assert len(calls) > 100, "few errors found: this test looks in the wrong place"
    silent = [
        f"{name(path)}:{node.lineno}"
        for path, node in calls
        if not has_hint(node) and not {ast.unparse(node.func), name(path)} & HINTLESS.keys()
    ]
    assert silent == []


def is_error_made(node: ast.AST) -> TypeGuard[ast.Call]:
    """Whether this makes one of our errors, or of the narrower ones that stand beside where they are raised."""
    return isinstance(node, ast.Call) and ast.unparse(node.func) in ERRORS


def has_hint(call: ast.Call) -> bool:
    given = [word.value for word in call.keywords if word.arg == "hint"]
    return any(not isinstance(value, ast.Constant) or value.value for value in given)


ERRORS = {item.__name__ for item in error_classes()} | {
    node.name
    for path in files("src")
    for node in ast.walk(parse(path))
    if isinstance(node, ast.ClassDef) and {ast.unparse(base) for base in node.bases} & set(vars(errors))
}
