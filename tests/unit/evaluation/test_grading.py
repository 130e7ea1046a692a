"""What is kept of each item, and which scores are none."""

from __future__ import annotations

import math

import pytest

from tunekit.backends.base import Generation
from tunekit.data.dataset import Dataset
from tunekit.errors import BackendError, SpecError
from tunekit.evaluation.evaluator import Evaluator
from tunekit.evaluation.grading import item_results
from tunekit.evaluation.items import Item, items_of
from tunekit.evaluation.running.runner import Failed
from tunekit.evaluation.scorers import AnswerScorer, Custom, LabelMetric, Length, Score
from tunekit.events import Usage
from tunekit.examples import ChatExample, Message, ToolCall
from tunekit.testing import ScriptedBackend

CHAT = ChatExample(
    messages=(
        Message(role="system", content="Be brief."),
        Message(role="user", content="Where is order 7?"),
        Message(role="assistant", tool_calls=(ToolCall(id="1", name="lookup", arguments='{"order": 7}'),)),
        Message(role="tool", content="in Graz", tool_call_id="1"),
        Message(role="assistant", content="In Graz."),
    )
)


def test_an_item_keeps_all_that_it_takes_to_show_and_score_it_again() -> None:
    (item,) = items_of([CHAT])
    answer = Generation(
        text="Graz", finish_reason="stop", usage=Usage(input_tokens=9, output_tokens=2, seconds=0.5)
    )
    score = Score(value=1.0, choice="c", counts={"items": 1.0}, log_probs=(-1.0, -math.inf))
    failed = Failed(BackendError("down", hint="wait"))
    (found,) = item_results([item], [answer], {"s": [score], "t": [failed]})
    assert found.prompt == (
        'system: Be brief.\n\nuser: Where is order 7?\n\nassistant: lookup({"order": 7})\n\ntool: in Graz'
    )
    assert (found.reference, found.answer) == ("In Graz.", "Graz")
    assert (found.input_tokens, found.output_tokens, found.seconds) == (9, 2, 0.5)
    assert (found.scores, found.counts, found.choices) == ({"s": 1.0}, {"s": {"items": 1.0}}, {"s": "c"})
    assert found.log_probs == {"s": (-1.0, -math.inf)}
    assert found.errors == {"t": "BackendError: down"}
    assert type(found).from_json(found.to_json()) == found


def test_what_nobody_measured_is_unknown_and_not_nothing() -> None:
    (item,) = items_of([CHAT])
    (found,) = item_results([item], [Generation(text="", finish_reason="stop")], {})
    assert (found.seconds, found.answer) == (None, "")
    (failed,) = item_results([item], [Failed(BackendError("down"))], {})
    assert (failed.answer, failed.seconds) == (None, None)


class Odd(AnswerScorer):
    name = "odd"

    def __init__(self, *, value: float = 1.0, count: float = 1.0) -> None:
        self.value, self.count = value, count

    def score(self, item: Item, answer: Generation) -> Score:
        odd = item.prompt == "3"
        return Score(value=self.value if odd else 0.5, counts={"items": self.count if odd else 1.0})


@pytest.mark.parametrize("scorer", [Odd(value=math.nan), Odd(count=math.inf), Odd(count=math.nan)])
def test_numbers_that_are_not_finite_are_an_error_of_that_item(scorer: Odd) -> None:
    test = Dataset.from_records([{"prompt": f"{at}", "completion": "a"} for at in range(50)])
    found = Evaluator(test, scorers=[scorer]).run(
        "scripted:m", backend=ScriptedBackend(generate=lambda p: "a")
    )
    assert (found["odd"].n_errors, found["odd"].value.n) == (1, 49)
    assert "finite" in found.items[3].errors["odd"]


def test_columns_say_their_direction_metric_and_method() -> None:
    test = Dataset.from_records([{"prompt": f"{at}", "completion": "ab"[at % 2]} for at in range(120)])
    backend = ScriptedBackend(generate=lambda prompt: "ab"[int(str(prompt)) % 3 == 0])
    found = Evaluator(test, scorers=[LabelMetric("f1_macro", name="mine"), Length()]).run(
        "scripted:m", backend=backend
    )
    mine, length = found["mine"], found["length_chars"]
    assert (mine.kind, mine.corpus, mine.higher_is_better, mine.method) == (
        "corpus",
        "f1_macro",
        True,
        "BCa bootstrap",
    )
    assert (length.corpus, length.higher_is_better) == ("", False)
    assert found.items[0].choices == {"mine": "b"}


def test_a_function_of_the_host_can_have_a_direction_and_a_metric_of_the_whole_test() -> None:
    def bits(item: Item, text: str) -> Score:
        return Score(value=2.0, counts={"items": 1.0, "nats": 3.0, "bytes": float(item.prompt != "0")})

    test = Dataset.from_records([{"prompt": f"{at}", "completion": "a"} for at in range(120)])
    scorers = [
        Custom(function=bits, name="perplexity", corpus="byte_perplexity"),
        Custom(function=lambda item, text: 0.2, name="cost", higher_is_better=False),
    ]
    backend = ScriptedBackend(generate=lambda prompt: "a")
    found = Evaluator(test, scorers=scorers).run("scripted:m", backend=backend)
    assert found["perplexity"].value.estimate == pytest.approx(math.exp(3 * 120 / 119))
    assert not found["perplexity"].higher_is_better and not found["cost"].higher_is_better
    assert (found["cost"].value.estimate, found["cost"].kind) == (0.2, "mean")
    with pytest.raises(SpecError, match="'perplexities'"):
        Custom(function=bits, name="p", corpus="perplexities")
