"""DPO and its kin: against formulas and a second model written by hand, and against themselves done another way."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.unit.training.conftest import MakeRun, artifact_bytes, events, losses, train, with_peft
from tests.unit.training.judged import (
    at_once,
    decoder,
    gradient_of,
    moved,
    preferences,
    whole_text_log_probs,
)
from tunekit.errors import DataError
from tunekit.events import JobState
from tunekit.examples import CompletionExample, Message, PreferenceExample
from tunekit.spec import DPO, FullWeights, LastLayers, LoRA, Sampling, TuneSpec
from tunekit.testing.tiny_models import make_tiny_t5
from tunekit.training.models import load
from tunekit.training.objectives.preference import PreferenceLearner, Preferring, pair_losses
from tunekit.training.objectives.texts import Texts
from tunekit.training.plan.recipe import Facts, resolve
from tunekit.training.serving import generate
from tunekit.training.texts.template import Template

LORA = LoRA(rank=4)
DROPOUT = DPO(adapter=LoRA(rank=4, dropout=0.2))
METHODS = [
    DPO(adapter=LORA),
    DPO(adapter=LORA, label_smoothing=0.1),
    DPO(adapter=LORA, loss="ipo"),
    DPO(adapter=LORA, loss="orpo"),
    DPO(adapter=LORA, loss="simpo", beta=2.0),
]
NAMES = ["sigmoid", "smoothed", "ipo", "orpo", "simpo"]


def objective(model: Path, method: DPO, prompt_format: Any = "chat") -> Preferring:
    template = Template.of(load.load_tokenizer(model))
    return Preferring(Texts(template=template, prompt_format=prompt_format, family="decoder"), method)


def by_hand(better: float, worse: float, method: DPO) -> float:
    """The loss of a pair from its two scores, in the words of the papers."""

    def sigma(x: float) -> float:
        return 1 / (1 + math.exp(-x))

    beta = method.beta
    if method.loss == "sigmoid":
        margin = beta * better - beta * worse
        e = method.label_smoothing
        return -(1 - e) * math.log(sigma(margin)) - e * math.log(sigma(-margin))
    if method.loss == "ipo":
        return float((better - worse - 1 / (2 * beta)) ** 2)
    if method.loss == "simpo":
        gamma = method.margin * beta
        return -math.log(sigma(beta * better - beta * worse - gamma))
    odds = [math.exp(score) / (1 - math.exp(score)) for score in (better, worse)]
    return -better - beta * math.log(sigma(math.log(odds[0] / odds[1])))


@pytest.mark.parametrize("method", METHODS, ids=NAMES)
def test_losses_and_gradients_are_those_of_the_papers(method: DPO) -> None:
    pairs = [(-0.5, -1.5), (-2.0, -0.1), (-3.0, -3.0), (-1e-3, -40.0), (-12.0, -0.02)]
    scores = torch.tensor(pairs, dtype=torch.float64, requires_grad=True)
    found = pair_losses(scores, method)
    assert found.tolist() == pytest.approx([by_hand(*pair, method) for pair in pairs], rel=1e-9)
    found.sum().backward()
    step = 1e-6
    for (better, worse), gradient in zip(pairs, scores.grad, strict=True):  # type: ignore[arg-type]
        slopes = [
            (by_hand(better + step, worse, method) - by_hand(better - step, worse, method)) / (2 * step),
            (by_hand(better, worse + step, method) - by_hand(better, worse - step, method)) / (2 * step),
        ]
        assert gradient.tolist() == pytest.approx(slopes, rel=1e-5, abs=1e-8)


def test_odds_stay_finite_where_a_probability_is_one() -> None:
    scores = torch.tensor([[0.0, -1.0], [-1.0, 0.0]], requires_grad=True)
    found = pair_losses(scores, DPO(loss="orpo"))
    found.sum().backward()
    assert torch.isfinite(found).all()
    assert scores.grad is not None
    assert torch.isfinite(scores.grad).all()


@pytest.mark.parametrize("end_to_end", [False, True], ids=["padded", "prompt shared"])
@pytest.mark.parametrize("method", METHODS, ids=NAMES)
def test_loss_and_gradient_are_those_of_two_models_on_whole_texts(
    llama: Path, method: DPO, end_to_end: bool
) -> None:
    rows = [objective(llama, method).row(example) for example in preferences(5)]
    ours = PreferenceLearner(decoder(load.load_base(llama).eval(), end_to_end=end_to_end), method)
    rows = ours.prepared(rows, at_once)
    policy = moved(llama)
    learner = PreferenceLearner(decoder(policy, end_to_end=end_to_end), method)
    found = learner.loss(rows)
    gradient = gradient_of(policy, found.total)

    twin, reference = moved(llama), load.load_base(llama)
    total = torch.zeros((), dtype=torch.float64)
    for row in rows:
        sums = []
        for tuned, base in zip(
            whole_text_log_probs(twin, row), whole_text_log_probs(reference, row), strict=True
        ):
            score = tuned - base if method.loss in ("sigmoid", "ipo") else tuned
            sums.append(score.sum() if method.loss == "sigmoid" else score.mean())
        total = total + torch_by_hand(sums[0], sums[1], method)
    assert float(found.total.detach()) == pytest.approx(float(total.detach()), rel=1e-6, abs=1e-6)
    torch.testing.assert_close(gradient, gradient_of(twin, total), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("loss", ["orpo", "simpo"])
def test_a_mean_per_token_is_weighted(llama: Path, loss: Any) -> None:
    """An answer of which every token counts half has the same mean as one of which each counts whole."""
    whole = preferences(1)[0]
    half = PreferenceExample(
        messages=whole.messages,
        chosen=(Message(role="assistant", content=str(whole.chosen), weight=0.5),),
        rejected=whole.rejected,
    )
    method = DPO(loss=loss)
    learner = PreferenceLearner(decoder(load.load_base(llama), end_to_end=True), method)
    with torch.no_grad():
        losses = [learner.loss([objective(llama, method).row(each)]).total for each in (half, whole)]
    torch.testing.assert_close(losses[0], losses[1])


def torch_by_hand(better: torch.Tensor, worse: torch.Tensor, method: DPO) -> torch.Tensor:
    sigma, beta = torch.sigmoid, method.beta
    if method.loss == "sigmoid":
        share, margin = method.label_smoothing, beta * (better - worse)
        return -(1 - share) * sigma(margin).log() - share * sigma(-margin).log()
    if method.loss == "ipo":
        return (better - worse - 1 / (2 * beta)).square()
    if method.loss == "simpo":
        return -sigma(beta * (better - worse - method.margin)).log()
    odds = better.exp() / (1 - better.exp()) / (worse.exp() / (1 - worse.exp()))
    return -better - beta * sigma(odds.log()).log()


@pytest.mark.parametrize(
    "adapter", [LORA, LoRA(rank=4, dora=True), FullWeights()], ids=["lora", "dora", "full"]
)
def test_the_first_loss_is_ln_2(make_run: MakeRun, adapter: Any) -> None:
    run = make_run(preferences(), method=DPO(adapter=adapter))
    train(run)
    first = events(run, "step")[0]
    assert first.loss == pytest.approx(math.log(2), abs=1e-6)
    assert first.metrics["reward_margin"] == pytest.approx(0.0, abs=1e-5)


@pytest.mark.parametrize(
    "method",
    [*METHODS, DPO(adapter=FullWeights()), DPO(adapter=LastLayers(layers=1))],
    ids=[*NAMES, "full weights", "last layer"],
)
def test_loss_falls_and_accuracy_rises(make_run: MakeRun, method: DPO) -> None:
    run = make_run(preferences(), method=method, epochs=4, validation=preferences(6))
    result = train(run)
    assert result is not None
    assert result.state is JobState.SUCCEEDED
    seen, held_out = events(run, "step"), [event.metrics for event in events(run, "evaluated")]
    assert sum(losses(run)[-3:]) < sum(losses(run)[:3])
    assert seen[-1].metrics["accuracy"] == 1.0
    assert seen[-1].metrics["reward_margin"] > seen[0].metrics["reward_margin"]
    assert held_out[-1]["loss"] < held_out[0]["loss"]
    assert held_out[-1]["accuracy"] == 1.0
    margin = held_out[-1]["chosen_reward"] - held_out[-1]["rejected_reward"]
    assert held_out[-1]["reward_margin"] == pytest.approx(margin, rel=1e-5)
    assert result.metrics["validation_accuracy"] == 1.0


@pytest.mark.parametrize("micro", [1, 3])
@pytest.mark.parametrize("loss", ["sigmoid", "orpo"])
def test_accumulated_is_whole(make_run: MakeRun, loss: Any, micro: int) -> None:
    method = DPO(adapter=LORA, loss=loss)
    whole = make_run(preferences(), name="whole", method=method, micro_batch_size=4)
    parts = make_run(preferences(), name="parts", method=method, micro_batch_size=micro)
    train(whole)
    train(parts)
    assert losses(parts) == pytest.approx(losses(whole), abs=1e-5)


def test_pairs_that_are_told_apart_for_good_end_no_run(make_run: MakeRun) -> None:
    """The gradient of a sigmoid that is 1 is 0, and not because nothing is on its path."""
    run = make_run(preferences(), method=DPO(adapter=LORA, beta=1000.0), epochs=4)
    result = train(run)
    assert result is not None
    assert result.state is JobState.SUCCEEDED
    assert min(step.gradient_norm for step in events(run, "step")) == 0.0


def test_same_seed_same_bits_other_seed_other_bits(make_run: MakeRun) -> None:
    first, again, other = (
        make_run(preferences(), name=name, method=DROPOUT, seed=seed)
        for name, seed in (("a", 1), ("b", 1), ("c", 2))
    )
    for run in (first, again, other):
        train(run)
    assert artifact_bytes(first) == artifact_bytes(again)
    assert losses(first) == losses(again)
    assert artifact_bytes(first) != artifact_bytes(other)


@pytest.mark.parametrize("adapter", [LORA, FullWeights()], ids=["lora", "full"])
def test_an_encoder_decoder_learns_too(make_run: MakeRun, tmp_path: Path, adapter: Any) -> None:
    """The prompt of a pair is encoded once; without dropout the first loss is ln 2 as well."""
    model = make_tiny_t5(tmp_path / "t5", dropout=0.0)
    run = make_run(preferences(), model=model, method=DPO(adapter=adapter), epochs=4)
    result = train(run)
    assert result is not None
    assert result.state is JobState.SUCCEEDED
    assert losses(run)[0] == pytest.approx(math.log(2), abs=1e-6)
    assert events(run, "step")[-1].metrics["accuracy"] == 1.0
    assert load.load(run.artifact_path).card is not None


def test_the_artifact_answers_and_prefers_what_was_preferred(make_run: MakeRun, llama: Path) -> None:
    run = make_run(preferences(), method=DPO(adapter=LORA))
    train(run)
    request = {"prompt": "ask ask 1", "choices": ["yes 1", "NO 1"]}
    before, after = (
        generate.score(load.load(model), [request])[0]["log_probs"] for model in (llama, run.artifact_path)
    )
    assert after[0] - after[1] > before[0] - before[1] + 1.0
    (answer,) = generate.generate(load.load(run.artifact_path), [request], Sampling(max_tokens=4))
    assert answer["usage"]["output_tokens"] == 4


def test_the_artifact_is_what_peft_loads(make_run: MakeRun, llama: Path) -> None:
    run = make_run(preferences(), method=DPO(adapter=LORA))
    train(run)
    ids = torch.tensor([[4, 5, 6, 7]])
    ours = load.load(run.artifact_path).model
    plain = with_peft(load.load_base(llama), run.artifact_path).eval()
    with torch.no_grad():
        assert torch.equal(ours(input_ids=ids).logits, plain(input_ids=ids).logits)


def test_before_the_first_step_equal_answers_are_warned_about(make_run: MakeRun) -> None:
    same = PreferenceExample(id="same", messages=preferences(1)[0].messages, chosen="x", rejected="x")
    run = make_run([*preferences(7), same], method=DPO(adapter=LORA))
    train(run)
    (report,) = [event.report for event in events(run, "preflight")]
    assert any("'same'" in warning and "teaches nothing" in warning for warning in report["warnings"])
    assert report["rows_that_learn_to_stop"] == 8


@pytest.mark.parametrize(
    ("method", "idle"),
    [
        (DPO(label_smoothing=0.1), []),
        (DPO(loss="simpo", margin=0.9), []),
        (DPO(loss="orpo"), []),
        (DPO(loss="ipo", label_smoothing=0.1, margin=0.9), ["label_smoothing=0.1", "margin=0.9"]),
    ],
    ids=["smoothed", "simpo", "orpo", "ipo"],
)
def test_a_constant_of_another_loss_is_warned_about(llama: Path, method: DPO, idle: list[str]) -> None:
    rows = [objective(llama, method).row(example) for example in preferences(2)]
    found = objective(llama, method).warnings(rows, [1, 3], part="training")
    assert [warning.partition(" ")[0] for warning in found if "no effect" in warning] == idle
    assert not any(
        "no effect" in each for each in objective(llama, method).warnings(rows, [], part="validation")
    )


def test_a_row_of_another_kind_is_refused(llama: Path) -> None:
    with pytest.raises(DataError, match="row 'x'"):
        objective(llama, DPO()).row(CompletionExample(id="x", prompt="a", completion="b"))


@pytest.mark.parametrize(
    ("method", "expected"),
    [
        (DPO(adapter=FullWeights()), 5e-5 / 40),
        (DPO(adapter=LoRA(alpha=32)), 7.5e-4 / 40),
        (DPO(loss="ipo", adapter=LoRA(alpha=32)), 7.5e-4 / 40),
        (DPO(loss="simpo", adapter=LoRA(alpha=32)), 7.5e-4 / 40),
        (DPO(loss="orpo", adapter=LoRA(alpha=32)), 7.5e-4 / 4),
    ],
)
def test_auto_rates_are_a_share_of_those_for_sft(method: DPO, expected: float) -> None:
    facts = Facts(rows=100, hidden_size=2000, model_type="llama", vocabulary=32000, max_length=2048)
    recipe = resolve(TuneSpec(method=method), facts)
    assert recipe.learning_rate == pytest.approx(expected, rel=1e-2)
    assert method.loss.upper().replace("SIGMOID", "DPO") in recipe.sources["learning_rate"].upper()
