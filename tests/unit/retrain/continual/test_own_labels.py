"""What is forgotten with all labels and with those of the task alone. Knows stored log-probabilities."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest

import tunekit as tk
from tunekit.backends.base import Prompt
from tunekit.evaluation.results import Evaluation
from tunekit.evaluation.scorers import Accuracy, ChoiceMetric, ExactMatch, LabelMetric, Scorer
from tunekit.retrain.continual import Forgetting
from tunekit.testing import ScriptedBackend

TREC, SST = ("abbr", "desc", "enty", "hum", "loc", "num"), ("negative", "positive")
ITEMS = 500


def questions(name: str, labels: Sequence[str]) -> tk.Dataset:
    return tk.Dataset.from_records(
        [{"text": f"{name} {at}", "label": labels[at % len(labels)]} for at in range(ITEMS)],
        input="text", target="label",
    )  # fmt: skip


TESTS = {"trec": questions("trec", TREC), "sst": questions("sst", SST)}
ALL = (*TREC, *SST)


def model(right: float, kept: float, *, drawn_to: Sequence[str] = ()) -> Callable[[Prompt, str], float]:
    """Log-probabilities of a model.

    Args:
        right: Share of items of which the right label is the likeliest of its task.
        kept: Share of items that are not lost to the labels of the other task.
        drawn_to: Those labels.
    """

    def score(prompt: Prompt, choice: str) -> float:
        task, number = str(prompt).split()
        at, labels = int(number), TREC if task == "trec" else SST
        best = at if at * 7919 % ITEMS < right * ITEMS else at + 1
        if choice in drawn_to:
            return -0.1 if at * 7919 % ITEMS >= kept * ITEMS else -9.0
        return -1.0 if choice == labels[best % len(labels)] else -5.0

    return score


def evaluate(
    task: str, score: Callable[[Prompt, str], float], scorers: Sequence[Scorer] = (Accuracy(choices=ALL),)
) -> Evaluation:
    backend = ScriptedBackend(score=score, generate=lambda prompt: "positive")
    return tk.Evaluator(TESTS[task], scorers=scorers, cache=False).run("scripted:m", backend=backend)


def stages(full: float, own: float) -> dict[str, dict[str, Evaluation]]:
    """TREC and then SST-2, with what is left of TREC by both counts."""
    after = evaluate("trec", model(own, full, drawn_to=SST))
    return {
        "TREC": {"trec": evaluate("trec", model(0.942, 1.0))},
        "SST-2": {"trec": after, "sst": evaluate("sst", model(0.836, 1.0))},
    }


@pytest.mark.parametrize(
    ("full", "own"),
    [(0.02, 0.85), (0.79, 0.846), (0.89, 0.892), (0.93, 0.93)],
    ids=["0 %", "1 %", "5 %", "20 %"],
)
def test_the_curve_of_the_research(full: float, own: float) -> None:
    """What replay of 0, 8, 40 and 160 among 800 rows was measured to leave of TREC (500 items, one seed)."""
    found = Forgetting.of(stages(full, own))
    assert found.own is not None and found.not_own == {}
    assert found.full.backward["trec"].delta.estimate == pytest.approx(full - 0.942, abs=0.003)
    assert found.own.backward["trec"].delta.estimate == pytest.approx(own - 0.942, abs=0.003)
    assert found.own.average is not None
    assert found.own.average.estimate == pytest.approx((own + 0.836) / 2, abs=0.003)
    assert found.own.backward["trec"].scorer == "accuracy among own labels"


def test_a_lost_prior_is_told_from_lost_features() -> None:
    found = Forgetting.of(stages(0.02, 0.942))
    assert found.full.backward["trec"].outcome == "worse"
    assert found.own is not None and found.own.backward["trec"].outcome == "unclear"
    [line] = [line for line in str(found).splitlines() if line.startswith("trec")]
    assert "FORGOT" in line and line.endswith("0.0 % [-0.8, +0.8]")
    assert Forgetting.from_json(found.to_json()) == found


def test_another_scorer_of_the_evaluation_may_know() -> None:
    """Generated text keeps no log-probabilities; a scorer of choices beside it does."""
    scorers = (LabelMetric("accuracy", labels=ALL), ChoiceMetric("f1_macro", choices=ALL))
    row = {"trec": evaluate("trec", model(0.9, 1.0), scorers)}
    last = {
        "trec": evaluate("trec", model(0.9, 0.1, drawn_to=SST), scorers),
        "sst": evaluate("sst", model(1, 1), scorers),
    }
    found = Forgetting.of({"1": row, "2": last})
    assert found.own is not None
    assert found.own.cells["2"]["trec"].estimate == pytest.approx(0.9, abs=0.003)


def test_what_cannot_be_known_is_said() -> None:
    text = (ExactMatch(),)
    score = model(1, 1)
    found = Forgetting.of(
        {
            "1": {"trec": evaluate("trec", score)},
            "2": {"trec": evaluate("trec", score), "sst": evaluate("sst", score, text)},
        }
    )
    assert found.own is not None and list(found.own.backward) == ["trec"]
    assert found.own.average is None and "'sst'" in found.own.refusal
    assert "keeps no log-probabilities" in found.not_own["sst"]
    assert "own labels of 'sst': 'exact_match' keeps no log-probabilities, so nobody can say" in str(found)
    neither = Forgetting.of({"1": {"sst": evaluate("sst", score, text)}})
    assert neither.own is None


def test_labels_may_be_told() -> None:
    """A test may lack a rare label, without which the task looks easier than it is."""
    found = Forgetting.of({"1": {"sst": evaluate("sst", model(0.5, 1.0))}}, labels={"sst": ["positive"]})
    assert found.own is not None
    assert found.own.cells["1"]["sst"].estimate == pytest.approx(0.5, abs=0.003)
    unknown = Forgetting.of({"1": {"sst": evaluate("sst", model(0.5, 1.0))}}, labels={"sst": ["fine"]})
    assert unknown.own is None and "'fine'" in unknown.not_own["sst"]


def test_items_without_log_probabilities_are_errors_and_not_wrong() -> None:
    whole = evaluate("sst", model(1, 1))
    first, *rest = whole.items
    failed = first.model_copy(
        update={"scores": {}, "choices": {}, "log_probs": {}, "errors": {"accuracy": "no reply"}}
    )
    some = whole.model_copy(update={"items": (failed, *rest)})
    found = Forgetting.of({"1": {"sst": some}})
    assert found.own is not None
    assert found.own.cells["1"]["sst"].n == ITEMS - 1
    assert found.own.cells["1"]["sst"].estimate == 1.0
