"""KTO: against formulas and a second model written by hand, and against itself done another way."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.unit.training.conftest import MakeRun, artifact_bytes, events, losses, train
from tests.unit.training.judged import (
    ALL_TOGETHER,
    ONE_BY_ONE,
    at_once,
    decoder,
    gradient_of,
    judgements,
    moved,
    question,
    whole_text_log_probs,
)
from tunekit.errors import DataError
from tunekit.events import JobState
from tunekit.examples import CompletionExample, UnpairedExample
from tunekit.spec import KTO, FullWeights, LoRA, TuneSpec
from tunekit.testing.tiny_models import make_tiny_t5
from tunekit.training.models import load
from tunekit.training.models.adapters import make_trainable
from tunekit.training.objectives import kto
from tunekit.training.objectives.kto import (
    JudgedAnswer,
    KahnemanTversky,
    KahnemanTverskyLearner,
    judged_losses,
    unrelated,
)
from tunekit.training.objectives.texts import Texts
from tunekit.training.plan.recipe import Facts, resolve
from tunekit.training.texts.template import Template

METHOD = KTO(adapter=LoRA(rank=4))
DROPOUT = KTO(adapter=LoRA(rank=4, dropout=0.2))
WEIGHTED = KTO(desirable_weight=1.3, undesirable_weight=0.7, beta=0.3)


def objective(model: Path, method: KTO = METHOD) -> KahnemanTversky:
    template = Template.of(load.load_tokenizer(model))
    return KahnemanTversky(Texts(template=template, prompt_format="chat", family="decoder"), method)


def prepared(model: Path, count: int = 6, *, longest: int = 256) -> list[JudgedAnswer]:
    """Rows with what the base says of them."""
    learner = KahnemanTverskyLearner(
        decoder(load.load_base(model).eval(), end_to_end=True), WEIGHTED, longest
    )
    return learner.prepared([objective(model).row(example) for example in judgements(count)], at_once)


def by_hand(reward: float, divergence: float, desirable: bool, method: KTO) -> float:
    """lambda_y - v(x, y): equations 7 and 8 of the paper."""
    ahead = method.beta * (reward - divergence if desirable else divergence - reward)
    weight = method.desirable_weight if desirable else method.undesirable_weight
    return weight - weight / (1 + math.exp(-ahead))


def test_losses_and_gradients_are_those_of_the_paper() -> None:
    values, divergence = [-3.0, -0.5, 0.0, 0.7, 12.0, 0.7], 0.4
    desirable = [True, False, True, False, True, True]
    rewards = torch.tensor(values, dtype=torch.float64, requires_grad=True)
    found = judged_losses(rewards, torch.tensor(desirable), divergence, WEIGHTED)
    expected = [by_hand(*each, WEIGHTED) for each in zip(values, [divergence] * 6, desirable, strict=True)]
    assert found.tolist() == pytest.approx(expected, rel=1e-9)
    found.sum().backward()
    assert rewards.grad is not None
    for value, good, gradient in zip(values, desirable, rewards.grad.tolist(), strict=True):
        up, down = (by_hand(value + step, divergence, good, WEIGHTED) for step in (1e-6, -1e-6))
        assert gradient == pytest.approx((up - down) / 2e-6, rel=1e-5, abs=1e-9)


@pytest.mark.parametrize("end_to_end", [False, True], ids=["padded", "end to end"])
@pytest.mark.parametrize("seed", [6, 1], ids=["moved towards unrelated answers", "moved away"])
def test_loss_and_gradient_are_those_of_two_models_on_whole_texts(
    llama: Path, seed: int, end_to_end: bool
) -> None:
    rows = prepared(llama)
    policy = moved(llama, seed=seed)
    learner = KahnemanTverskyLearner(decoder(policy, end_to_end=end_to_end), WEIGHTED, 256)
    rows = learner.drawn(rows, ALL_TOGETHER)
    found = learner.loss(rows)
    gradient = gradient_of(policy, found.total)

    twin, reference = moved(llama, seed=seed), load.load_base(llama)
    partners = unrelated(rows)
    apart = [
        JudgedAnswer(id="", prompt=row.prompt, answers=rows[other].answers, weight=1.0, desirable=True)
        for row, other in zip(rows, partners, strict=True)
    ]
    with torch.no_grad():
        ratios = [float(reward(twin, reference, row)) for row in apart]
    divergence = max(0.0, sum(ratios) / len(ratios))
    assert (divergence > 0.0) is (seed == 6), "one model must be below 0, and one above"
    total = torch.zeros((), dtype=torch.float64)
    for row in rows:
        ahead = WEIGHTED.beta * (reward(twin, reference, row) - divergence)
        weight = WEIGHTED.desirable_weight if row.desirable else WEIGHTED.undesirable_weight
        total = total + weight * (1 - torch.sigmoid(ahead if row.desirable else -ahead))
    assert float(found.total.detach()) == pytest.approx(float(total.detach()), rel=1e-6, abs=1e-6)
    torch.testing.assert_close(gradient, gradient_of(twin, total), rtol=1e-4, atol=1e-6)
    assert float(found.metrics["divergence"]) / len(rows) == pytest.approx(divergence, abs=1e-6)
    with torch.no_grad():
        good = [float(reward(twin, reference, row)) for row in rows if row.desirable]
    mean = WEIGHTED.beta * sum(good) / len(good)
    assert float(found.metrics["desirable_reward"]) / len(rows) == pytest.approx(mean, abs=1e-5)


def reward(tuned: Any, base: Any, row: JudgedAnswer) -> torch.Tensor:
    """log p / p_ref of the row's first answer."""
    own = whole_text_log_probs(tuned, row)[0].sum()
    return own - whole_text_log_probs(base, row)[0].sum().detach()


def test_the_baseline_is_that_of_the_whole_step(llama: Path) -> None:
    """It does not depend on how the step is cut, and dropout has no part in it."""
    rows = prepared(llama)
    policy = make_trainable(load.load_base(llama), LoRA(rank=4, dropout=0.5), seed=0)
    generator = torch.Generator().manual_seed(1)
    for name, value in policy.named_parameters():
        if "lora_B" in name:
            value.data.normal_(std=0.05, generator=generator)
    learner = KahnemanTverskyLearner(decoder(policy, end_to_end=True), WEIGHTED, 256)
    assert policy.training
    whole, parts = (learner.drawn(rows, passes)[0].baseline for passes in (ALL_TOGETHER, ONE_BY_ONE))
    assert policy.training
    assert whole is not None
    assert parts is not None
    assert whole.divergence > 0.0
    assert whole.divergence == pytest.approx(parts.divergence, rel=1e-6)
    assert (whole.desirable, whole.undesirable) == (3, 3)


def test_before_it_has_moved_a_model_loses_half(make_run: MakeRun) -> None:
    """All rewards and the baseline are 0, and sigma(0) = 1/2."""
    run = make_run(judgements(), method=METHOD)
    train(run)
    assert losses(run)[0] == pytest.approx(0.5, abs=1e-6)


@pytest.mark.parametrize("adapter", [LoRA(rank=4), FullWeights()], ids=["lora", "full"])
def test_loss_falls_and_good_answers_draw_ahead(make_run: MakeRun, adapter: Any) -> None:
    run = make_run(judgements(), method=KTO(adapter=adapter), epochs=4, validation=judgements(6))
    result = train(run)
    assert result is not None
    assert result.state is JobState.SUCCEEDED
    held_out = [event.metrics for event in events(run, "evaluated")]
    assert sum(losses(run)[-3:]) < sum(losses(run)[:3])
    assert held_out[-1]["loss"] < held_out[0]["loss"]
    assert held_out[-1]["reward_margin"] > held_out[1]["reward_margin"] > 0
    assert held_out[0]["reward_margin"] == pytest.approx(0, abs=1e-6), "before the first step"
    margin = held_out[-1]["desirable_reward"] - held_out[-1]["undesirable_reward"]
    assert held_out[-1]["reward_margin"] == pytest.approx(margin, rel=1e-5)


def test_an_encoder_decoder_learns_too(make_run: MakeRun, tmp_path: Path) -> None:
    model = make_tiny_t5(tmp_path / "t5", dropout=0.0)
    run = make_run(judgements(), model=model, method=METHOD, epochs=4)
    train(run)
    assert losses(run)[0] == pytest.approx(0.5, abs=1e-6)
    assert sum(losses(run)[-3:]) < sum(losses(run)[:3])


@pytest.mark.parametrize("micro", [1, 3])
def test_accumulated_is_whole(make_run: MakeRun, micro: int) -> None:
    whole = make_run(judgements(), name="whole", method=METHOD, micro_batch_size=4)
    parts = make_run(judgements(), name="parts", method=METHOD, micro_batch_size=micro)
    train(whole)
    train(parts)
    assert losses(parts) == pytest.approx(losses(whole), abs=1e-5)
    first, other = ([event.metrics["accuracy"] for event in events(run, "step")] for run in (whole, parts))
    assert first == other


def test_same_seed_same_bits_other_seed_other_bits(make_run: MakeRun) -> None:
    first, again, other = (
        make_run(judgements(), name=name, method=DROPOUT, seed=seed)
        for name, seed in (("a", 1), ("b", 1), ("c", 2))
    )
    for run in (first, again, other):
        train(run)
    assert artifact_bytes(first) == artifact_bytes(again)
    assert artifact_bytes(first) != artifact_bytes(other)


@pytest.mark.parametrize("method", [DROPOUT, KTO(adapter=FullWeights())], ids=["lora", "full"])
def test_resumed_is_uninterrupted_bit_for_bit(
    make_run: MakeRun, monkeypatch: pytest.MonkeyPatch, method: KTO
) -> None:
    whole, parts = (
        make_run(judgements(), name=name, method=method, validation=judgements(4))
        for name in ("whole", "parts")
    )
    train(whole)
    assert train(parts, stop_after=7) is None
    prepare = KahnemanTverskyLearner.prepared

    def without_asking(self: Any, rows: Any, untrained: Any) -> Any:
        with monkeypatch.context() as inside:
            inside.setattr(kto, "by_row", None)
            return prepare(self, rows, untrained)

    monkeypatch.setattr(KahnemanTverskyLearner, "prepared", without_asking)
    train(parts)
    assert artifact_bytes(parts) == artifact_bytes(whole)
    assert losses(parts) == losses(whole)


class TestUnrelated:
    """Which answer is put to which prompt."""

    def test_every_answer_is_put_to_one_other_prompt(self, llama: Path) -> None:
        rows = [objective(llama).row(example) for example in judgements(30)]
        partners = unrelated(rows)
        assert sorted(partners) == list(range(30))
        assert all(other != at for at, other in enumerate(partners))
        assert partners == unrelated(rows)

    def test_answers_to_one_prompt_are_related(self, llama: Path) -> None:
        examples = [
            UnpairedExample(id=f"{n}-{m}", messages=question(n), completion=f"{n} {m}", desirable=m > 1)
            for n in range(4)
            for m in range(4)
        ]
        rows = [objective(llama).row(example) for example in examples]
        assert all(row.prompt != rows[other].prompt for row, other in zip(rows, unrelated(rows), strict=True))

    def test_one_prompt_has_no_others(self, llama: Path) -> None:
        rows = [objective(llama).row(judgements(1)[0])] * 3
        assert all(other != at for at, other in enumerate(unrelated(rows)))

    def test_they_are_cut_to_what_the_model_takes(self, llama: Path) -> None:
        whole = prepared(llama, 20)
        longest = max(len(row.prompt) for row in whole) + 3
        for row, cut in zip(whole, prepared(llama, 20, longest=longest), strict=True):
            assert row.unrelated is not None
            assert cut.unrelated is not None
            room = longest - len(row.prompt)
            assert cut.unrelated.ids == row.unrelated.ids[:room]
            assert cut.unrelated.weights == row.unrelated.weights[:room]

    def test_one_row_has_none(self, make_run: MakeRun) -> None:
        with pytest.raises(DataError, match="only one row") as caught:
            train(make_run(judgements(1), method=METHOD))
        assert "two" in (caught.value.hint or "")


def test_the_report_counts_both_kinds_and_warns_where_one_drowns_the_other(make_run: MakeRun) -> None:
    mostly = [example.replace(desirable=n > 0) for n, example in enumerate(judgements(8))]
    weighed = KTO(adapter=LoRA(rank=4), undesirable_weight=7.0)
    for method, warned in ((METHOD, True), (weighed, False)):
        run = make_run(mostly, name=f"run{warned}", method=method)
        train(run)
        (report,) = [event.report for event in events(run, "preflight")]
        assert (report["desirable_rows"], report["undesirable_rows"]) == (7, 1)
        assert any("desirable_weight" in warning for warning in report["warnings"]) is warned


def test_a_row_of_another_kind_is_refused(llama: Path) -> None:
    with pytest.raises(DataError, match="row 'x'"):
        objective(llama).row(CompletionExample(id="x", prompt="a", completion="b"))


def test_the_auto_rate_is_a_quarter_of_that_for_sft() -> None:
    facts = Facts(rows=100, hidden_size=2000, model_type="llama", vocabulary=32000, max_length=2048)
    recipe = resolve(TuneSpec(method=KTO(adapter=FullWeights())), facts)
    assert recipe.learning_rate == pytest.approx(5e-5 / 4, rel=1e-2)
    assert "HALOs" in recipe.sources["learning_rate"]
