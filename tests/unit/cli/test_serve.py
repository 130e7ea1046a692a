"""`tunekit serve`: keys are made, kept and taken back, nothing is served to strangers by mistake, and it has a log."""

from __future__ import annotations

import json
import shutil
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.processes import eventually
from tunekit.cli import main
from tunekit.server import read_keys

ROOT = Path(__file__).resolve().parents[3]
BEGUN = (
    b"POST /v1/files HTTP/1.1\r\nhost: localhost\r\ncontent-type: multipart/form-data; boundary=b\r\n"
    b"content-length: 9999\r\n\r\n--b\r\n"
    b'content-disposition: form-data; name="file"; filename="t.jsonl"\r\n\r\nabc'
)
"""A file of which no more will come."""


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
        (["base=local:x", "base=local:y"], "'base' is said to be both 'local:x' and 'local:y'"),
        ([], "no model to serve"),
        (["base=nowhere:x"], "no backend 'nowhere'"),
        (["base=local:./not-here"], "no model directory at './not-here'"),
        (["base=x"], "is not a Target"),
        (["base=local:x", "--keys", "nothing.json"], "nothing.json"),
        (["base=local:x", "--port", "70000"], "--port"),
        (["base=local:x", "--backend-jobs", "0"], "backend_jobs is 0"),
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


def test_a_request_that_never_ends_does_not_keep_it_from_ending(home: Path) -> None:
    code = "import sys; from tunekit.cli import main, serve; serve._GRACE_S = 1; sys.exit(main(sys.argv[1:]))"
    command = [sys.executable, "-W", "error", "-u", "-c", code, "serve", "base=local:x", "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        address = child.stdout.readline().split()[1]
        port = urlsplit(address).port
        with socket.create_connection(("127.0.0.1", port)) as connection:
            connection.sendall(BEGUN)
            eventually(lambda: list((home / "server" / "files").glob("*")))
            child.send_signal(signal.SIGTERM)
            assert child.wait(timeout=20) == -signal.SIGTERM
        child.communicate()
    assert list((home / "server" / "files").iterdir()) == []


def test_what_a_caller_is_not_told_is_in_the_log(home: Path) -> None:
    code = "import sys; from tunekit.cli import main; sys.exit(main(sys.argv[1:]))"
    model = shutil.copytree(ROOT / "examples" / "models" / "nano", home / "models" / "moved")
    command = [sys.executable, "-W", "error", "-u", "-c", code, "serve", f"base=local:{model}", "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        address = child.stdout.readline().split()[1]
        shutil.rmtree(model)
        eventually(lambda: answers(f"{address}/models"))
        with pytest.raises(urllib.error.HTTPError) as refused:
            ask(address)
        with refused.value as answer:
            request_id, told = answer.headers["x-request-id"], answer.read().decode()
        child.send_signal(signal.SIGTERM)
        _, log = child.communicate(timeout=20)
    assert request_id in told and str(home) not in told
    (line,) = [line for line in log.splitlines() if request_id in line]
    assert "WARNING tunekit.server" in line and str(model) in line


def test_a_key_that_is_taken_back_is_good_no_more(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = home / "server" / "keys.json"
    main(["serve", "--add-key", "support"])
    main(["serve", "--add-key", "sales"])
    first, second = capsys.readouterr().out.split()
    code = "import sys; from tunekit.cli import main; sys.exit(main(sys.argv[1:]))"
    command = [sys.executable, "-W", "error", "-u", "-c", code, "serve", "base=local:x", "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        address = child.stdout.readline().split()[1]
        eventually(lambda: answers(f"{address}/models", first))
        assert answers(f"{address}/models", second)
        left = {kept: tenant for kept, tenant in json.loads(path.read_text()).items() if tenant == "sales"}
        path.write_text(json.dumps(left))
        assert not answers(f"{address}/models", first)
        assert answers(f"{address}/models", second)
        child.send_signal(signal.SIGTERM)
        _, log = child.communicate(timeout=20)
    assert "read the keys again" in log
    assert first not in log and second not in log


def ask(address: str) -> None:
    body = {"model": "base", "messages": [{"role": "user", "content": "hi"}]}
    headers = {"content-type": "application/json"}
    request = urllib.request.Request(f"{address}/chat/completions", json.dumps(body).encode(), headers)
    urllib.request.urlopen(request, timeout=20).close()


def answers(url: str, key: str = "") -> bool:
    request = urllib.request.Request(url, headers={"authorization": f"Bearer {key}"} if key else {})
    try:
        with urllib.request.urlopen(request, timeout=5) as answer:
            return [model["id"] for model in json.load(answer)["data"]] == ["base"]
    except urllib.error.HTTPError as error:
        error.close()
        return False
    except OSError:
        return False
