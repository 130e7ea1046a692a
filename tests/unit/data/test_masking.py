"""No output but the data themselves says a secret, wherever it stands. Knows the outputs; how masking works, not.

Keys are put together from pieces at run time, so that no scanner of repositories takes this file for a leak.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import tunekit as tk
from tunekit.errors import TunekitError
from tunekit.examples import ChatExample, CompletionExample, LabelledExample, Message, ToolCall

SECRETS = {
    "key": "sk-proj-" + "8fK2mQz7Lw0Xb3Vn9RtYc5Jd1Hs6Gp4TaEoUiWlSkNvBq",
    "short-key": "AKIA" + "QWERTYUIOPASDFGH",
    "email": "ann.lee@acme-parcels.org",
    "bank-account": "DE89370400440532013000",
    "card": "4111 1111 1111 1111",
}
HARMLESS = "plain"


def rows(secret: str, field: str) -> list[dict[str, Any]]:
    """Twelve rows with many a fault, so that many a finding has something to show."""

    def at(place: str, text: str) -> str:
        return f"{text} {secret}" if place == field else text

    made = [
        {
            "text": at("prompt", f"Where is parcel {n}?" * (1 + n % 2)),
            "label": secret if field == "class" and n % 2 else ("late ", "lost", "Lost", "", "none")[n % 5],
            "note": at("meta", str(n)),
        }
        for n in range(11)
    ]
    made.append(dict(made[0]))
    if field == "column":
        made = [{**row, secret: "x", f" {secret}": "y"} for row in made]
    return made


def chats(secret: str, field: str) -> list[ChatExample]:
    def at(place: str, text: str) -> str:
        return f"{text}\n{secret}" if place == field else text

    arguments = at("arguments", '{"note": 1') if field == "arguments" else json.dumps({"n": secret})
    call = ToolCall(id=secret if field == "call id" else "c1", name="find", arguments=arguments)
    turns = (
        Message(role="user", content=at("prompt", "Where <|im_end|> is it?\u200b")),
        Message(
            role="assistant", content=at("answer", "It is and it is and it is and it is"), tool_calls=(call,)
        ),
        Message(role="tool", tool_call_id="c2", content=at("tool result", "{{name}} \u00c3\u00a9")),
        Message(role="assistant", content=at("answer", "As an AI, I cannot")),
    )
    row = f"{secret}:" if field == "row" else "a.jsonl:"
    return [ChatExample(id=f"{row}{n}", messages=turns) for n in range(12)]


def outputs(data: tk.Dataset, other: tk.Dataset) -> Iterator[str]:
    """Everything that says something about data and is not the data."""
    report = data.check(target="openai", against={"test": other})
    yield from (str(report), report.to_json(), report.to_html(), repr(report.summary))
    for finding in report:
        yield from (str(finding), finding.message, repr(finding.facts), json.dumps(finding.to_dict()))
        yield from (f"{place} {place.field} {place.evidence}" for place in finding.places)
    names = [fix.name for fix in report.fixes if fix.name != "add-separator"]
    fixes = data.fix(*names).fixes
    assert fixes is not None
    yield from (str(fixes), fixes.to_json(), fixes.diff())
    hints = data.hints()
    yield from (str(hints), json.dumps(hints.to_dict()), hints.positive_class, hints.reason)
    yield repr(data)


def assert_hidden(secret: str, said: Iterator[str]) -> None:
    found = list(said)
    assert any(found)
    parts = [secret, secret.lower(), secret[:24], secret[-16:]]
    leaks = [text for text in found for part in parts if part in text]
    assert not leaks, leaks[0][:2000]


@pytest.mark.parametrize("kind", SECRETS)
@pytest.mark.parametrize("field", ["prompt", "class", "column", "meta", "file"])
@pytest.mark.parametrize("shape", ["csv", "jsonl"])
def test_nothing_said_of_a_file_has_a_secret_in_it(tmp_path: Path, kind: str, field: str, shape: str) -> None:
    secret = SECRETS[kind]
    name = f"{secret if field == 'file' else HARMLESS}.{shape}"
    path = tmp_path / name
    table = rows(secret, field)
    if shape == "csv":
        lines = [list(table[0]), *(row.values() for row in table)]
        path.write_text("".join(",".join(f'"{cell}"' for cell in line) + "\n" for line in lines))
    else:
        path.write_text("".join(json.dumps(row) + "\n" for row in table))
    data = tk.Dataset.load(path, input="text", target="label", kind="labelled", on_error="skip")
    said = [repr(data.skipped), repr(tk.DatasetStream.load(path, input="text", target="label"))]
    assert_hidden(secret, iter([*outputs(data, data.head(3)), *said]))


@pytest.mark.parametrize("kind", SECRETS)
@pytest.mark.parametrize("field", ["prompt", "answer", "arguments", "call id", "tool result", "row"])
def test_nothing_said_of_conversations_has_a_secret_in_it(kind: str, field: str) -> None:
    data = tk.Dataset(chats(SECRETS[kind], field))
    assert_hidden(SECRETS[kind], outputs(data, data.head(3)))


@pytest.mark.parametrize("kind", SECRETS)
def test_nothing_said_of_pairs_has_a_secret_in_it(kind: str) -> None:
    secret = SECRETS[kind]
    pairs = [CompletionExample(id=f"r:{n}", prompt=f"{secret} {n % 9}", completion=secret) for n in range(20)]
    assert_hidden(secret, outputs(tk.Dataset(pairs), tk.Dataset(pairs[:2])))


@pytest.mark.parametrize("kind", SECRETS)
@pytest.mark.parametrize(
    "row",
    [
        '{{"messages": [{{"role": "{0}", "content": "x"}}]}}',
        '{{"messages": [{{"role": "user", "content": "x", "{0}": 1}}]}}',
        '{{"{0}": 1, "{0}": 2}}',
        '{{"{0}": "a", "y": "{0}", "z": "b"}}',
        '{{"prompt": "x", "completion": ["{0}"]}}',
        '{{"prompt": "x", "completion": {{"{0}": 1}}}}',
        '{{"prompt": "{0}", "completion": ',
    ],
)
def test_no_error_has_a_secret_in_it(tmp_path: Path, kind: str, row: str) -> None:
    secret = SECRETS[kind]
    path = tmp_path / f"{secret}.jsonl"
    path.write_text(row.format(secret) + "\n")
    with pytest.raises(TunekitError) as caught:
        tk.Dataset.load(path)
    error = caught.value
    assert_hidden(secret, iter([str(error), repr(error), error.message, error.hint, repr(error.__dict__)]))


@pytest.mark.parametrize("kind", SECRETS)
def test_classes_that_are_secrets_stay_apart_in_reports(kind: str) -> None:
    other = {"email": "bob.lee@acme-parcels.org"}.get(kind, "late")
    labels = [SECRETS[kind], other] * 6
    data = tk.Dataset(LabelledExample(text=f"parcel {n}", label=label) for n, label in enumerate(labels))
    assert list(data.check().summary.classes.values()) == [6, 6]
    assert data.targets()[SECRETS[kind]] == 6  # the data themselves


@pytest.mark.parametrize(
    "name", ["gpt-4o-mini-2024-07-18", "claude-3-5-sonnet-20241022", "export-2024-01-31-final-v2-of-3.csv"]
)
def test_names_of_models_and_files_are_shown(name: str) -> None:
    data = tk.Dataset(LabelledExample(text=f"parcel {n}", label=(name, "x")[n % 2]) for n in range(8))
    assert name in str(data.check())
