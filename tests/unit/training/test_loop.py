"""Numerics of training: against a loop written by hand, and against itself done another way."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch.nn import functional

from tests.unit.training.conftest import MakeRun, artifact_bytes, events, losses, rows, train
from tunekit.errors import JobFailedError
from tunekit.events import JobState
from tunekit.examples import ChatExample, CompletionExample, Message
from tunekit.spec import SFT, Budget, FullWeights, LoRA
from tunekit.training.models import attention, layouts, load
from tunekit.training.models.attention import supports_end_to_end
from tunekit.training.models.language_model import Decoder, head_selects_rows
from tunekit.training.objectives.sft import SupervisedLearner
from tunekit.training.plan.batches import epoch_batches, micro_batches
from tunekit.training.plan.device import Device
from tunekit.training.plan.schedule import learning_rate
from tunekit.training.texts import render
from tunekit.training.texts.rows import Answers, Tokens

CPU = Device(name="cpu", frozen_dtype=torch.float32, compute_dtype=None)
LORA = SFT(adapter=LoRA(rank=4))
FULL = SFT(adapter=FullWeights())
DROPOUT = SFT(adapter=LoRA(rank=4, dropout=0.2))


@pytest.mark.parametrize(
    "method",
    [
        LORA,
        FULL,
        SFT(adapter=LoRA(rank=4, dora=True)),
        SFT(adapter=LoRA(rank=4, rslora=True)),
        SFT(adapter=LoRA(rank=4, target_modules=("q_proj", "v_proj"))),
    ],
    ids=["lora", "full", "dora", "rslora", "named modules"],
)
def test_loss_falls(make_run: MakeRun, method: SFT) -> None:
    run = make_run(method=method, epochs=6, validation=rows(6))
    result = train(run)
    assert result is not None
    assert result.state is JobState.SUCCEEDED
    seen = losses(run)
    assert len(seen) == 30
    assert sum(seen[-3:]) < sum(seen[:3])
    held_out = [event.metrics["loss"] for event in events(run, "evaluated")]
    assert held_out[-1] < held_out[0]
    assert result.metrics["validation_loss"] == held_out[-1]
    assert result.trained_tokens == sum(len(example.ids) for example in tokens(run.plan().model)) * 6


@pytest.mark.parametrize("method", [DROPOUT, FULL], ids=["lora with dropout", "full"])
def test_same_seed_same_bits_other_seed_other_bits(make_run: MakeRun, method: SFT) -> None:
    first, again, other = (
        make_run(name=name, method=method, seed=seed) for name, seed in (("a", 1), ("b", 1), ("c", 2))
    )
    for run in (first, again, other):
        train(run)
    assert artifact_bytes(first) == artifact_bytes(again)
    assert losses(first) == losses(again)
    assert artifact_bytes(first) != artifact_bytes(other)


def test_steps_match_a_loop_written_by_hand(make_run: MakeRun) -> None:
    run = make_run(
        method=FULL, max_gradient_norm=0.5, weight_decay=0.1, schedule="cosine", warmup_ratio=0.2, seed=3
    )
    train(run)
    seen = events(run, "step")
    expected = reference(run.plan().model, tokens(run.plan().model), seed=3)
    assert [event.loss for event in seen] == pytest.approx([loss for loss, _ in expected], abs=2e-6)
    assert [event.gradient_norm for event in seen] == pytest.approx([norm for _, norm in expected], rel=1e-4)


def reference(model_path: str, examples: list[Tokens], *, seed: int) -> list[tuple[float, float]]:
    """The same training with nothing of ours in it but the order of the rows: full logits, one row at a time."""
    model = load.load_base(model_path).requires_grad_(True)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2, weight_decay=0.1, fused=False, foreach=False)
    lengths = [len(example.ids) for example in examples]
    batches = [batch for epoch in range(2) for batch in epoch_batches(lengths, 4, seed, epoch)]
    history = []
    for step, batch in enumerate(batches):
        optimizer.param_groups[0]["lr"] = learning_rate(
            step, total_steps=len(batches), peak=1e-2, schedule="cosine", warmup_ratio=0.2
        )
        optimizer.zero_grad()
        total, count = torch.zeros(()), 0
        for index in batch:
            ids = torch.tensor([examples[index].ids])
            logits = model(input_ids=ids, attention_mask=torch.ones_like(ids)).logits[0, :-1]
            learned = torch.tensor(examples[index].weights[1:]) > 0
            total = total + functional.cross_entropy(logits[learned], ids[0, 1:][learned], reduction="sum")
            count += int(learned.sum())
        loss = total / count
        loss.backward()
        norm = torch.nn.utils.clip_grad_norm_(model.parameters(), 0.5)
        optimizer.step()
        history.append((float(loss.detach()), float(norm)))
    return history


@pytest.mark.parametrize("micro", [1, 2, 3])
def test_accumulated_is_whole(make_run: MakeRun, micro: int) -> None:
    whole = make_run(name="whole", method=FULL, micro_batch_size=4)
    parts = make_run(name="parts", method=FULL, micro_batch_size=micro)
    train(whole)
    train(parts)
    assert losses(parts) == pytest.approx(losses(whole), abs=1e-5)


def test_the_validation_loss_is_the_loss_of_a_step_on_the_same_rows(make_run: MakeRun) -> None:
    """Per target token, however the rows are cut; the weights hardly move."""
    stays = {"learning_rate": 1e-9, "epochs": 1, "micro_batch_size": 3}
    run = make_run(rows(8), validation=rows(8), batch_size=8, **stays)
    train(run)
    held_out = events(run, "evaluated")
    assert [event.step for event in held_out] == [0, 1], "before the first step as well"
    assert held_out[0].metrics["loss"] == pytest.approx(losses(run)[0], rel=1e-6)
    assert held_out[1].metrics["loss"] == pytest.approx(losses(run)[0], rel=1e-6)


def test_target_rows_give_what_full_logits_give(llama: Path) -> None:
    model = load.load_base(llama).requires_grad_(True)
    examples = answers(str(llama))[:5]
    assert head_selects_rows(model)
    selected, selected_gradient = loss_and_gradient(learner(model), examples)
    full, full_gradient = loss_and_gradient(learner(model, selects_rows=False), examples)
    assert selected == pytest.approx(full, rel=1e-7)
    torch.testing.assert_close(selected_gradient, full_gradient, rtol=1e-5, atol=1e-7)


def test_padded_batch_gives_what_single_rows_give(llama: Path) -> None:
    model = load.load_base(llama).requires_grad_(True)
    examples = answers(str(llama))[:5]
    assert len({row.length for row in examples}) > 1, "the rows must differ in length to need padding"
    whole, whole_gradient = loss_and_gradient(learner(model), examples)
    singles = [loss_and_gradient(learner(model), [row]) for row in examples]
    assert whole == pytest.approx(sum(loss for loss, _ in singles), rel=1e-6)
    total = torch.stack([gradient for _, gradient in singles]).sum(0)
    torch.testing.assert_close(whole_gradient, total, rtol=1e-4, atol=1e-6)


def test_rows_laid_end_to_end_give_what_single_rows_give(llama: Path) -> None:
    model = load.load_base(llama).requires_grad_(True)
    examples = answers(str(llama))[:5]
    singles = [loss_and_gradient(learner(model), [row]) for row in examples]
    assert supports_end_to_end(model.eval(), longest=256)
    for selects_rows in (True, False):
        joined = learner(model, selects_rows=selects_rows, end_to_end=True)
        loss, gradient = loss_and_gradient(joined, examples)
        assert loss == pytest.approx(sum(loss for loss, _ in singles), rel=1e-6)
        total = torch.stack([gradient for _, gradient in singles]).sum(0)
        torch.testing.assert_close(gradient, total, rtol=1e-4, atol=1e-6)


def test_answers_that_share_a_prompt_give_what_whole_texts_give(llama: Path) -> None:
    """A prompt computed once, before all of its answers, against one text for each answer; gradients too."""
    model = load.load_base(llama).requires_grad_(True)
    shared = [
        Answers(
            id="shared",
            prompt=(5, 6, 7, 8),
            answers=(said(9, 10, 11), said(12), said(13, 14)),
            weight=1.0,
        ),
        Answers(id="alone", answers=(Tokens(ids=(5, 6, 7), weights=(0.0, 1.0, 0.5)),), weight=1.0),
    ]
    apart, apart_gradient = by_answer_and_gradient(learner(model), shared)
    assert supports_end_to_end(model.eval(), longest=256)
    joined, joined_gradient = by_answer_and_gradient(learner(model, end_to_end=True), shared)
    torch.testing.assert_close(joined, apart, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(joined_gradient, apart_gradient, rtol=1e-4, atol=1e-6)
    text = torch.tensor([[5, 6, 7, 8, 9, 10, 11]])
    with torch.no_grad():
        logits = load.load_base(llama)(input_ids=text).logits.log_softmax(-1)
    by_hand = sum(float(logits[0, at - 1, text[0, at]]) for at in (4, 5, 6))
    assert float(joined[0]) == pytest.approx(by_hand, rel=1e-5)


def test_rows_laid_end_to_end_never_see_each_other(llama: Path) -> None:
    """Changing the first row leaves the logits of the second as they were, to the bit."""
    model = load.load_base(llama)
    assert supports_end_to_end(model, longest=256)
    first, second = answers(str(llama))[:2]
    (tokens,) = first.answers
    changed = Answers(id="", answers=(Tokens(ids=tokens.ids[::-1], weights=tokens.weights),), weight=1.0)
    with torch.no_grad():
        before, after = (
            model(**attention.inputs(batch.ids, batch.pieces), use_cache=False).logits
            for batch in (layouts.end_to_end([first, second]), layouts.end_to_end([changed, second]))
        )
    assert torch.equal(before[:, first.length :], after[:, first.length :])
    assert not torch.equal(before[:, : first.length], after[:, : first.length])


def test_answers_that_share_a_prompt_never_see_each_other(llama: Path) -> None:
    model = load.load_base(llama)
    assert supports_end_to_end(model, longest=256)
    one, other = (
        layouts.end_to_end(
            [Answers(id="", prompt=(5, 6, 7), answers=(said(*first), said(10, 11)), weight=1.0)]
        )
        for first in ((8, 9), (20, 21))
    )
    with torch.no_grad():
        before, after = (
            model(**attention.inputs(batch.ids, batch.pieces), use_cache=False).logits
            for batch in (one, other)
        )
    assert torch.equal(before[:, [0, 1, 2, 5, 6]], after[:, [0, 1, 2, 5, 6]])
    assert not torch.equal(before[:, 3:5], after[:, 3:5])


@pytest.mark.parametrize("change", [{"attn_implementation": "eager"}, {"sliding_window": 100}])
def test_models_that_could_answer_differently_keep_their_padding(llama: Path, change: dict[str, Any]) -> None:
    model = load.load_base(llama)
    if "attn_implementation" in change:
        model.set_attn_implementation("eager")
    else:
        model.config.sliding_window = change["sliding_window"]
    assert not supports_end_to_end(model, longest=256)
    assert model.config._attn_implementation in ("sdpa", "eager")


def test_a_model_may_be_asked_again(llama: Path) -> None:
    """Its attention knows no mask once it is switched, so "no" must switch it back."""
    model = load.load_base(llama)
    assert [supports_end_to_end(model, longest=256) for _ in range(2)] == [True, True]
    model.config.sliding_window = 100
    assert not supports_end_to_end(model, longest=256)
    assert model.config._attn_implementation == "sdpa"


def test_what_stands_in_the_padding_is_never_seen(llama: Path) -> None:
    model, examples = load.load_base(llama), answers(str(llama))[:5]
    with torch.no_grad():
        first, other = (learner(model, pad_id=pad_id).loss(examples).total for pad_id in (0, 77))
    assert torch.equal(first, other)


def test_weights_weigh(llama: Path) -> None:
    """A message of weight 0.5 counts half, in the sum and in what the sum is divided by."""
    tokenizer, model = load.load_tokenizer(llama), load.load_base(llama)

    def loss(weight: float) -> tuple[float, float]:
        chat = ChatExample(
            messages=(
                Message(role="user", content="a"),
                Message(role="assistant", content="first", weight=weight),
                Message(role="user", content="b"),
                Message(role="assistant", content="second"),
            )
        )
        row = as_answers(render.render_example(tokenizer, chat))
        with torch.no_grad():
            found = learner(model).loss([row])
        return float(found.total), row.weight

    none, half, whole = loss(0.0), loss(0.5), loss(1.0)
    assert half[0] == pytest.approx((none[0] + whole[0]) / 2, rel=1e-6)
    assert half[1] == pytest.approx((none[1] + whole[1]) / 2)


def test_empty_prompts_train_on_every_token_but_the_first(make_run: MakeRun) -> None:
    run = make_run([CompletionExample(id=str(n), prompt="", completion="prose " * 3) for n in range(8)])
    train(run)
    (report,) = [event.report for event in events(run, "preflight")]
    assert report["target_tokens"] == report["tokens"] - 8


def test_a_loss_that_is_not_finite_stops_before_the_step_and_names_the_rows(
    make_run: MakeRun, llama: Path, tmp_path: Path
) -> None:
    from safetensors.torch import load_file, save_file

    broken = copy_model(llama, tmp_path / "broken")
    tensors = load_file(broken / "model.safetensors")
    tensors["model.norm.weight"][0] = float("nan")
    save_file(tensors, broken / "model.safetensors", metadata={"format": "pt"})
    run = make_run(model=broken)
    with pytest.raises(JobFailedError, match=r"loss nan .*row-\d+") as caught:
        train(run)
    assert caught.value.details["rows"]
    assert not run.artifact_path.exists()
    assert losses(run) == []


def test_no_gradient_is_an_error(make_run: MakeRun, llama: Path, tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    dead = copy_model(llama, tmp_path / "dead")
    tensors = load_file(dead / "model.safetensors")
    tensors["model.norm.weight"].zero_()  # every logit is 0 whatever lies below
    save_file(tensors, dead / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(JobFailedError, match="no gradient"):
        train(make_run(model=dead))


def test_time_budget(make_run: MakeRun) -> None:
    run = make_run(budget=Budget(max_seconds=1e-6))
    with pytest.raises(JobFailedError, match="max_seconds"):
        train(run)
    assert len(losses(run)) == 1


def test_cancel_between_steps_publishes_nothing(make_run: MakeRun) -> None:
    run = make_run()
    run.request_cancel()
    result = train(run)
    assert result is not None
    assert result.state is JobState.CANCELLED
    assert not run.artifact_path.exists()


def test_fractions_of_an_epoch(make_run: MakeRun) -> None:
    run = make_run(epochs=0.5)
    train(run)
    assert [event.total_steps for event in events(run, "step")] == [3] * 3


def tokens(model: str) -> list[Tokens]:
    tokenizer = load.load_tokenizer(Path(model))
    return [render.render_example(tokenizer, example) for example in rows()]


def learner(
    module: Any, *, pad_id: int = 0, selects_rows: bool = True, end_to_end: bool = False
) -> SupervisedLearner:
    return SupervisedLearner(
        Decoder(module=module, device=CPU, pad_id=pad_id, end_to_end=end_to_end, selects_rows=selects_rows)
    )


def as_answers(text: Tokens) -> Answers:
    return Answers(id=text.row, answers=(text,), weight=sum(text.weights))


def answers(model: str) -> list[Answers]:
    return [as_answers(text) for text in tokens(model)]


def said(*ids: int) -> Tokens:
    """An answer whose every token is learned."""
    return Tokens(ids=ids, weights=(1.0,) * len(ids))


def loss_and_gradient(learner: SupervisedLearner, examples: list[Answers]) -> tuple[float, torch.Tensor]:
    learner.model.module.zero_grad()
    loss = learner.loss(examples)
    loss.total.backward()
    return float(loss.total.detach()), gradient_of(learner)


def by_answer_and_gradient(
    learner: SupervisedLearner, examples: list[Answers]
) -> tuple[torch.Tensor, torch.Tensor]:
    """Log-probability of each answer, and the gradient of a sum in which no two answers count alike."""
    learner.model.module.zero_grad()
    found = learner.model.score(examples).by_answer()
    (found * torch.arange(1, len(found) + 1)).sum().backward()
    return found.detach(), gradient_of(learner)


def gradient_of(learner: SupervisedLearner) -> torch.Tensor:
    return torch.cat([value.grad.flatten().clone() for value in learner.model.module.parameters()])


def copy_model(source: Path, target: Path) -> Path:
    import shutil

    shutil.copytree(source, target)
    return target


def test_passes_are_cut_by_rows_and_by_tokens() -> None:
    examples = [
        Answers(id=str(n), answers=(Tokens(ids=(0,) * n, weights=(1.0,) * n),), weight=1.0)
        for n in (3, 9, 4, 4)
    ]
    cut = [[item.id for item in part] for part in micro_batches(examples, max_rows=2, max_tokens=100)]
    assert cut == [["9", "4"], ["4", "3"]]
    cut = [[item.id for item in part] for part in micro_batches(examples, max_rows=9, max_tokens=8)]
    assert cut == [["9"], ["4", "4"], ["3"]]
