"""`tunekit serve`: keys are made and kept, and nothing is served to strangers by mistake."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

from tests.processes import eventually
from tunekit.cli import main
from tunekit.server import read_keys


def test_a_key_is_printed_once_and_kept_as_a_hash(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["serve", "--add-key", "support"]) == 0
    key = capsys.readouterr().out.strip()
    path = home / "server" / "keys.json"
    assert key not in path.read_text()
    assert read_keys(path).tenant_of(key) == "support"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["base=local:x", "--host", "0.0.0.0"], "--add-key"),
        (["base=local:x", "--host", "example.com"], "--add-key"),
        (["local:x"], "NAME=TARGET"),
        ([], "no model to serve"),
        (["base=nowhere:x"], "no backend 'nowhere'"),
        (["base=x"], "is not a Target"),
        (["base=local:x", "--keys", "nothing.json"], "nothing.json"),
        (["base=local:x", "--port", "70000"], "--port"),
        (["--add-key", "a/b"], "no name for a tenant"),
    ],
)
def test_what_is_wrong_is_said_at_once(
    arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["serve", *arguments]) == 1
    assert said in capsys.readouterr().err


def test_it_serves_until_it_is_told_to_end(home: Path) -> None:
    code = "import sys; from tunekit.cli import main; sys.exit(main(sys.argv[1:]))"
    command = [sys.executable, "-W", "error", "-u", "-c", code, "serve", "base=local:x", "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        address = child.stdout.readline().split()[1]
        eventually(lambda: answers(f"{address}/models"))
        child.send_signal(signal.SIGTERM)
        _, errors = child.communicate(timeout=20)
    assert errors == ""


def answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            return [model["id"] for model in json.load(answer)["data"]] == ["base"]
    except OSError:
        return False
