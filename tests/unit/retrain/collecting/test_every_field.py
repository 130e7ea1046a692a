"""What stands beside the texts of a turn is masked like the texts; what was lost is said."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import tunekit as tk

PLANTED = ("ann@acme.org", "sk-proj-" + "Ab1" * 16, "4111111111111111", "bob@acme.org")


@pytest.fixture
def collector(tmp_path: Path) -> tk.Collector:
    return tk.Collector("bot", settings=tk.Settings(home=tmp_path), strict=True)


def all_bytes(collector: tk.Collector) -> str:
    return "".join(path.read_text() for path in collector.directory.rglob("*.jsonl*")) + "".join(
        path.read_text() for path in collector.directory.rglob("*.open")
    )


ASKED: dict[str, Any] = {
    "speaker": {"role": "user", "name": "ann@acme.org", "content": "hello"},
    "image": {
        "role": "user",
        "content": [
            {"type": "text", "text": "what is it"},
            {"type": "image_url", "image_url": {"url": f"https://x.test/?u=ann@acme.org&k={PLANTED[1]}"}},
        ],
    },
}
ANSWERED: dict[str, Any] = {
    "call": {
        "role": "assistant",
        "content": None,
        "tool_calls": [
            {
                "id": "call-bob@acme.org",
                "type": "function",
                "function": {"name": "mail", "arguments": '{"to": "ann\\u0040acme.org"}'},
            }
        ],
    },
    "refusal": {"role": "assistant", "content": [{"type": "refusal", "refusal": "bob@acme.org is private"}]},
}


@pytest.mark.parametrize("asked", ASKED)
@pytest.mark.parametrize("answered", ANSWERED)
def test_beside_the_texts(collector: tk.Collector, asked: str, answered: str) -> None:
    turn = collector.record([ASKED[asked]], ANSWERED[answered])
    collector.feedback(turn, thumb="up")
    kept = all_bytes(collector) + repr(list(collector.unpaired()))
    assert "[EMAIL_1]" in kept
    assert not [value for value in PLANTED if value in kept]
    assert "ann\\u0040" not in kept and "ann\\\\u0040" not in kept


@pytest.mark.parametrize(
    "meta",
    [
        {"raw": b"from ann@acme.org"},
        {"card": 4111111111111111.0},
        {"deep": [{"x": (bytearray(b"bob@acme.org"),)}]},
    ],
    ids=["bytes", "float", "deep"],
)
def test_in_facts_that_are_no_text(collector: tk.Collector, meta: dict[str, Any]) -> None:
    collector.record("hello", "hi", meta=meta)
    kept = all_bytes(collector)
    assert kept and not [value for value in PLANTED if value in kept]
    assert "YW5u" not in kept, "nor in base64"


def test_a_secret_by_its_name_alone(collector: tk.Collector) -> None:
    collector.record("hello", "hi", meta={"login": {"password": "hunter2hunter2X9", "kind": "basic"}})
    kept = all_bytes(collector)
    assert "hunter2" not in kept and '"password": "[' in kept and '"kind": "basic"' in kept


def test_in_the_tools_that_were_offered(collector: tk.Collector) -> None:
    tools = [{"type": "function", "function": {"name": "mail", "description": "mails ann@acme.org"}}]
    collector.record("hello", "hi", tools=tools)
    assert "mails [EMAIL_1]" in all_bytes(collector)


def test_nobody_is_forgotten_by_a_key_that_is_gone(collector: tk.Collector) -> None:
    collector.record("hello", "hi", user="u-1")
    (collector.directory / "users.key").unlink()
    with pytest.raises(tk.StorageError, match=r"users are found is gone") as caught:
        tk.Collector("bot", settings=tk.Settings(home=collector.directory.parent.parent)).forget("u-1")
    assert "backup" in caught.value.hint
