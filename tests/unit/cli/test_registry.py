"""`tunekit registry` as a person uses it, and as a deployment script does."""

from __future__ import annotations

import pytest

from tunekit.cli import main
from tunekit.retrain.registry import Registry


@pytest.fixture
def registry() -> Registry:
    registry = Registry()
    registry.register("support-bot", "local:run-1", note="the first")
    registry.register("support-bot", "local:run-2")
    return registry


def said(capsys: pytest.CaptureFixture[str], *arguments: str, code: int = 0) -> str:
    assert main(["registry", *arguments]) == code
    out, errors = capsys.readouterr()
    return errors if code else out


def test_promoting_and_going_back(registry: Registry, capsys: pytest.CaptureFixture[str]) -> None:
    assert "support-bot@1 " in said(capsys, "list") and "the first" in said(capsys, "list", "support-bot")
    assert "is version 1\n" in said(capsys, "promote", "support-bot@1", "--reason", "the first")
    assert "it was version 1" in said(capsys, "promote", "support-bot@2", "--expected", "1")
    assert said(capsys, "resolve", "support-bot@champion") == "local:run-2\n"
    assert "is version 1 again; it was version 2" in said(capsys, "rollback", "support-bot@champion")
    lines = said(capsys, "history", "support-bot@champion").splitlines()
    assert len(lines) == 4 and "rollback" in lines[3] and "the first" in lines[1]
    assert "champion" in said(capsys, "list", "support-bot").splitlines()[1]


def test_what_cannot_be_done_is_told(registry: Registry, capsys: pytest.CaptureFixture[str]) -> None:
    assert "nothing was promoted" in said(capsys, "resolve", "support-bot@champion", code=1)
    assert "no version 7" in said(capsys, "promote", "support-bot@7", code=1)
    said(capsys, "promote", "support-bot@1")
    assert "is version 1, not version 2" in said(
        capsys, "promote", "support-bot@2", "--expected", "2", code=1
    )
    assert "no earlier version" in said(capsys, "rollback", "support-bot@champion", code=1)
    assert said(capsys, "list", "nobody") == said(capsys, "list", "nobody")
