"""What is wrong with the arguments of a retrainer is said at once, by name, before rows are kept or money is spent."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

import tunekit as tk
from tests.unit.retrain.rounds.products import TEST, Host, records
from tunekit.errors import SpecError
from tunekit.retrain.rounds import Every

TESTS = tk.Dataset.from_records(TEST)


def made(**changed: Any) -> tk.Retrainer:
    given = {
        "alias": "bot",
        "evaluator": tk.Evaluator(TESTS),
        "gate": tk.Gate(primary="exact_match"),
        "backend": Host(0.7),
    }
    return tk.Retrainer("scripted:base", **{**given, **changed})


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"alias": 3}, "alias is 3"),
        ({"evaluator": TESTS}, "evaluator is <Dataset"),
        ({"gate": "exact_match"}, "gate is 'exact_match'"),
        ({"spec": {"epochs": 2}}, "spec is {'epochs': 2}"),
        ({"tasks": ["returns"]}, r"tasks is \['returns'\]"),
        ({"tasks": {"returns": TESTS}}, r"tasks\['returns'\] is <Dataset"),
        ({"validation": TEST}, r"validation is \[{"),
        ({"rollout": "canary"}, "rollout is 'canary'"),
        ({"rollout": ("canary", "canary")}, "rollout is .'canary', 'canary'"),
        ({"budget": 5}, "budget is 5"),
        ({"triggers": Every(days=7)}, "triggers is Every"),
        ({"triggers": ["weekly"]}, r"triggers is \['weekly'\]"),
        ({"base_ends": "2027-01-01"}, "base_ends is '2027-01-01'"),
        ({"base_ends": datetime(2027, 1, 1, tzinfo=UTC)}, "base_ends is datetime"),
        ({"code_version": 3}, "code_version is 3"),
        ({"poll_s": 0}, "poll_s is 0"),
        ({"poll_s": float("nan")}, "poll_s is nan"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_what_a_retrainer_is_made_of(changed: dict[str, Any], said: str) -> None:
    with pytest.raises(SpecError, match=said) as caught:
        made(**changed)
    assert caught.value.hint


def test_what_is_handed_in() -> None:
    retrainer: Any = made(triggers=[Every(days=7)])
    rows = records("a", 20)
    for call in (retrainer.run, retrainer.request, retrainer.dry_run, retrainer.due):
        with pytest.raises(SpecError, match=r"data is \[{") as caught:
            call(rows)
        assert "from_records" in caught.value.hint
    with pytest.raises(SpecError, match="key is 3"):
        retrainer.request(tk.Dataset.from_records(rows), key=3)
    with pytest.raises(SpecError, match=r"measured\['exact_match'\] is '0.8'"):
        retrainer.due(measured={"exact_match": "0.8"})
    assert not retrainer.rounds.batches() and not retrainer.rounds.list()


def test_a_gate_decides_on_comparisons_alone() -> None:
    gate: Any = tk.Gate(primary="exact_match")
    with pytest.raises(SpecError, match="comparison is None"):
        gate.decide(None)


def test_a_schedule_is_that_of_its_alias() -> None:
    other = made(alias="bot@beta", triggers=[Every(days=7)])
    made(triggers=[Every(days=7)]).request(tk.Dataset.from_records(records("a", 20)))
    assert other.due() == ("no round was asked for yet",)
