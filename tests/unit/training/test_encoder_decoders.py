"""Encoder-decoders in the loop: T5 (tied, scaled), mT5 (untied) and BART, against themselves, transformers and PEFT."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.nn import functional
from torch.utils.flop_counter import FlopCounterMode

from tests.unit.training.conftest import MakeRun, artifact_bytes, events, losses, rows, train, with_peft
from tests.unit.training.tiny_bart import make_tiny_bart
from tunekit.errors import DataError, ModelError
from tunekit.events import JobState
from tunekit.spec import SFT, FullWeights, LoRA
from tunekit.testing.tiny_models import make_tiny_t5
from tunekit.training.models import load
from tunekit.training.models.adapters import make_trainable, trainable_parameters
from tunekit.training.models.encoder_decoder import EncoderDecoder, head_selects_rows
from tunekit.training.objectives.sft import SupervisedLearner
from tunekit.training.plan.batches import epoch_batches
from tunekit.training.plan.device import Device
from tunekit.training.plan.flops import Work
from tunekit.training.plan.preflight import fitting
from tunekit.training.texts import pairs
from tunekit.training.texts.rows import Answers, Tokens

CPU = Device(name="cpu", frozen_dtype=torch.float32, compute_dtype=None)
LORA, FULL = SFT(adapter=LoRA(rank=4)), SFT(adapter=FullWeights())
KINDS = ("t5", "mt5", "bart")
METHODS = pytest.mark.parametrize("method", [LORA, FULL], ids=["lora", "full"])


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Dropout is active in training, as in the published models."""
    directory = tmp_path_factory.mktemp("models")
    made = {kind: make_tiny_t5(directory / kind, kind=kind) for kind in ("t5", "mt5")}
    return {**made, "bart": make_tiny_bart(directory / "bart", tokenizer_of=made["t5"])}


@pytest.fixture(scope="module")
def certain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A T5 without dropout, for what must not depend on how a step is cut."""
    return make_tiny_t5(tmp_path_factory.mktemp("models") / "certain", dropout=0.0)


class TestTraining:
    """A run from rows to artifact."""

    @METHODS
    @pytest.mark.parametrize("kind", KINDS)
    def test_loss_falls_and_the_artifact_is_what_others_load(
        self, make_run: MakeRun, models: dict[str, Path], kind: str, method: SFT
    ) -> None:
        run = make_run(model=models[kind], method=method, epochs=6, validation=rows(6))
        result = train(run)
        assert result is not None
        assert result.state is JobState.SUCCEEDED
        seen = losses(run)
        assert sum(seen[-3:]) < sum(seen[:3])
        held_out = [event.metrics["loss"] for event in events(run, "evaluated")]
        assert held_out[-1] < held_out[0]
        ours, theirs = load.load(run.artifact_path), plainly_loaded(run.artifact_path, models[kind], method)
        assert torch.equal(logits(ours.model), logits(theirs))
        assert not torch.equal(logits(theirs), logits(load.load(models[kind]).model)), "nothing was learned"
        assert theirs.generation_config.decoder_start_token_id == ours.model.config.decoder_start_token_id
        assert ours.card is not None
        assert (ours.card.family, ours.stop_ids) == ("encoder-decoder", (1,))

    @METHODS
    def test_same_seed_same_bits_other_seed_other_bits(
        self, make_run: MakeRun, models: dict[str, Path], method: SFT
    ) -> None:
        first, again, other = (
            make_run(name=name, model=models["t5"], method=method, seed=seed)
            for name, seed in (("a", 1), ("b", 1), ("c", 2))
        )
        for run in (first, again, other):
            train(run)
        assert artifact_bytes(first) == artifact_bytes(again)
        assert artifact_bytes(first) != artifact_bytes(other)

    @METHODS
    @pytest.mark.parametrize("at", [1, 7])
    def test_resumed_is_uninterrupted_bit_for_bit_with_dropout(
        self, make_run: MakeRun, models: dict[str, Path], method: SFT, at: int
    ) -> None:
        whole = make_run(name="whole", model=models["mt5"], method=method)
        parts = make_run(name="parts", model=models["mt5"], method=method)
        train(whole)
        assert train(parts, stop_after=at) is None
        train(parts)
        assert losses(parts) == losses(whole)
        assert artifact_bytes(parts) == artifact_bytes(whole)

    def test_every_step_drops_something_else(self, make_run: MakeRun, models: dict[str, Path]) -> None:
        """The same row, and weights that hardly move."""
        run = make_run(rows(1), model=models["t5"], epochs=4, learning_rate=1e-9)
        train(run)
        assert len({round(loss, 4) for loss in losses(run)}) == 4

    @pytest.mark.parametrize("micro", [1, 3])
    def test_accumulated_is_whole(self, make_run: MakeRun, certain: Path, micro: int) -> None:
        whole = make_run(name="whole", model=certain, method=FULL, micro_batch_size=4)
        parts = make_run(name="parts", model=certain, method=FULL, micro_batch_size=micro)
        train(whole)
        train(parts)
        assert losses(parts) == pytest.approx(losses(whole), abs=1e-5)

    def test_steps_match_transformers_own_loss(self, make_run: MakeRun, certain: Path) -> None:
        run = make_run(model=certain, method=FULL, max_gradient_norm=None, schedule="constant", seed=3)
        train(run)
        assert losses(run) == pytest.approx(transformers_losses(certain, seed=3), abs=5e-6)

    def test_the_report_shows_what_is_read_and_what_is_learned(
        self, make_run: MakeRun, models: dict[str, Path]
    ) -> None:
        run = make_run(model=models["t5"])
        train(run)
        (report,) = (event.report for event in events(run, "preflight"))
        assert report["sample"] == "ask 0</s>⟦answer 0</s>⟧"
        assert report["stop_tokens"] == ["</s>"]
        assert report["rows_that_learn_to_stop"] == report["rows"] == 20
        assert report["tokens"] == sum(row.length for row in answers(models["t5"]))
        assert report["warnings"] == []


@pytest.mark.parametrize(("kind", "inner"), [("t5", {"wi"}), ("mt5", {"wi_0", "wi_1"})])
def test_lora_is_put_on_every_linear_layer_but_the_head(
    models: dict[str, Path], kind: str, inner: set[str]
) -> None:
    model = make_trainable(load.load_base(models[kind]), LoRA(rank=2), seed=0)
    found = {name.split(".lora_")[0].rpartition(".")[2] for name in trainable_parameters(model)}
    assert found == {"q", "k", "v", "o", "wo"} | inner
    assert model.peft_config["default"].task_type == "SEQ_2_SEQ_LM"


def plainly_loaded(artifact: Path, base: Path, method: SFT) -> Any:
    """An artifact as somebody loads it who has never heard of us."""
    from transformers import AutoModelForSeq2SeqLM

    if method is FULL:
        return AutoModelForSeq2SeqLM.from_pretrained(artifact)
    return with_peft(AutoModelForSeq2SeqLM.from_pretrained(base), artifact)


def logits(model: Any) -> torch.Tensor:
    ids = torch.arange(40, 60).view(2, 10)
    with torch.no_grad():
        return model(input_ids=ids, decoder_input_ids=ids[:, :4]).logits  # type: ignore[no-any-return]


def transformers_losses(path: Path, *, seed: int) -> list[float]:
    """The same training with nothing of ours but the order of the rows: `model(labels=...)`, one row at a time."""
    from transformers import AutoModelForSeq2SeqLM, AutoTokenizer

    model, tokenizer = AutoModelForSeq2SeqLM.from_pretrained(path), AutoTokenizer.from_pretrained(path)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2, weight_decay=0.0, foreach=False)
    lengths = [row.length for row in answers(path)]
    history = []
    for batch in [batch for epoch in range(2) for batch in epoch_batches(lengths, 4, seed, epoch)]:
        optimizer.zero_grad()
        total, count = torch.zeros(()), 0
        for index in batch:
            told: Any = rows()[index]
            labels = tokenizer(text_target=told.completion, return_tensors="pt").input_ids
            mean = model(**tokenizer(told.prompt, return_tensors="pt"), labels=labels).loss
            total, count = total + mean * labels.numel(), count + labels.numel()
        loss = total / count
        loss.backward()
        optimizer.step()
        history.append(float(loss.detach()))
    return history


def answers(path: Path, count: int = 20) -> list[Answers]:
    """The rows of `conftest.rows` as training makes them."""
    tokenizer = load.load_tokenizer(path)
    found = [pairs.render_pair(tokenizer, example) for example in rows(count)]
    return [
        Answers(id=tokens.row, prompt=prompt, answers=(tokens,), weight=sum(tokens.weights), encoded=True)
        for prompt, tokens in found
    ]


class TestForwardPass:
    """One pass: the same values and gradients however it is laid out."""

    @pytest.mark.parametrize("kind", KINDS)
    def test_target_rows_give_what_full_logits_give(self, models: dict[str, Path], kind: str) -> None:
        module = load.load_base(models[kind]).requires_grad_(True)
        assert head_selects_rows(module)
        told = some_weights(answers(models[kind], 5))
        selected, selected_gradient = loss_and_gradient(reader(module), told)
        full, full_gradient = loss_and_gradient(reader(module, selects_rows=False), told)
        assert selected == pytest.approx(full, rel=1e-6)
        torch.testing.assert_close(selected_gradient, full_gradient, rtol=1e-4, atol=1e-6)

    @pytest.mark.parametrize("kind", KINDS)
    def test_padded_gives_what_single_rows_give(self, models: dict[str, Path], kind: str) -> None:
        module = load.load_base(models[kind]).requires_grad_(True)
        told = answers(models[kind], 5)
        assert len({len(row.prompt) for row in told}) > 1, "prompts must differ in length to need padding"
        whole, gradient = loss_and_gradient(reader(module), told)
        singles = [loss_and_gradient(reader(module), [row]) for row in told]
        assert whole == pytest.approx(sum(loss for loss, _ in singles), rel=1e-5)
        torch.testing.assert_close(
            gradient, torch.stack([each for _, each in singles]).sum(0), rtol=1e-3, atol=1e-5
        )

    @pytest.mark.parametrize("kind", KINDS)
    def test_answers_that_share_a_prompt_give_what_pairs_give(
        self, models: dict[str, Path], kind: str
    ) -> None:
        module = load.load_base(models[kind]).requires_grad_(True)
        one, other, alone = answers(models[kind], 3)
        group = Answers(
            id="group", prompt=one.prompt, answers=one.answers + other.answers, weight=2.0, encoded=True
        )
        apart = [one, Answers(id="other", prompt=one.prompt, answers=other.answers, weight=1.0), alone]
        shared_scores = reader(module).score([group, alone])
        torch.testing.assert_close(shared_scores.by_answer(), reader(module).score(apart).by_answer())
        assert shared_scores.count == 3
        shared, gradient = loss_and_gradient(reader(module), [group, alone])
        separate, separate_gradient = loss_and_gradient(reader(module), apart)
        assert shared == pytest.approx(separate, rel=1e-6)
        torch.testing.assert_close(gradient, separate_gradient, rtol=1e-3, atol=1e-5)

    def test_a_shared_prompt_is_encoded_once(self, models: dict[str, Path]) -> None:
        module = load.load_base(models["t5"])
        (row,) = answers(models["t5"], 1)
        sizes: list[int] = []
        module.get_encoder().register_forward_hook(lambda *told: sizes.append(len(told[2].last_hidden_state)))
        reader(module).score([Answers(id="", prompt=row.prompt, answers=row.answers * 5, weight=5.0)])
        assert sizes == [1]

    def test_what_stands_in_the_padding_is_never_seen(self, models: dict[str, Path]) -> None:
        module = load.load_base(models["t5"])
        told = answers(models["t5"], 5)
        scores = [reader(module, pad_id=pad).score(told).log_probs for pad in (0, 77)]
        torch.testing.assert_close(scores[0], scores[1], rtol=0, atol=0)

    @pytest.mark.parametrize("kind", ["t5", "mt5"])
    def test_operations_are_about_what_torch_counts(self, models: dict[str, Path], kind: str) -> None:
        """About: how an answer looks at its prompt is counted as if they were one text."""
        module = load.load_base(models[kind]).requires_grad_(True)
        told = answers(models[kind], 5)
        with FlopCounterMode(display=False) as counted:
            for row in told:
                SupervisedLearner(reader(module)).loss([row]).total.backward()
        assert Work.of(module).of_rows(told) == pytest.approx(counted.get_total_flops(), rel=0.1)

    def test_activations_computed_twice_change_nothing(self, certain: Path) -> None:
        module = load.load_base(certain).requires_grad_(True)
        one, other = answers(certain, 2)
        group = [
            Answers(id="", prompt=one.prompt, answers=one.answers + other.answers, weight=2.0, encoded=True)
        ]
        kept, gradient = loss_and_gradient(reader(module), group)
        module.activation_checkpointing_enable()
        model = reader(module)
        module.train()
        again, same = loss_and_gradient(model, group)
        assert again == pytest.approx(kept, rel=1e-6)
        torch.testing.assert_close(same, gradient, rtol=1e-4, atol=1e-5)

    @pytest.mark.parametrize("kind", ["t5", "mt5"])
    def test_a_head_that_changes_what_it_is_given_is_noticed(
        self, models: dict[str, Path], kind: str
    ) -> None:
        module = load.load_base(models[kind])
        module.lm_head.register_forward_hook(lambda head, told, out: out - out.mean(dim=0, keepdim=True))
        assert not head_selects_rows(module)

    def test_no_decoder_start_is_an_error(self, models: dict[str, Path]) -> None:
        module = load.load_base(models["t5"])
        module.config.decoder_start_token_id = module.generation_config.decoder_start_token_id = None
        with pytest.raises(ModelError, match="which token the decoder"):
            EncoderDecoder.of(module, CPU, pad_id=0)


def some_weights(told: Sequence[Answers]) -> list[Answers]:
    """Rows of which the first tokens are not learned and the others count differently."""
    return [
        Answers(
            id=row.id,
            prompt=row.prompt,
            answers=tuple(
                Tokens(ids=each.ids, weights=(0.0, 0.0, *(0.5 + at for at in range(len(each.ids) - 2))))
                for each in row.answers
            ),
            weight=1.0,
            encoded=True,
        )
        for row in told
    ]


def reader(module: Any, *, selects_rows: bool = True, pad_id: int = 0) -> EncoderDecoder:
    start = module.config.decoder_start_token_id
    return EncoderDecoder(
        module=module.eval(), device=CPU, pad_id=pad_id, start_id=start, selects_rows=selects_rows
    )


def loss_and_gradient(model: EncoderDecoder, told: Sequence[Answers]) -> tuple[float, torch.Tensor]:
    model.module.zero_grad()
    total = SupervisedLearner(model).loss(told).total
    total.backward()
    gradients = [value.grad.flatten() for value in model.module.parameters() if value.grad is not None]
    return float(total.detach()), torch.cat(gradients)


class TestLengths:
    """Positions are counted on either side."""

    def test_prompt_and_answer_have_positions_of_their_own(self, models: dict[str, Path]) -> None:
        assert load.load(models["bart"]).max_length == 64
        assert load.load(models["t5"]).max_length > 100_000, "relative positions have no last one"
        row = Answers(
            id="", prompt=(2,) * 60, answers=(Tokens(ids=(3,) * 50, weights=(1.0,) * 50),), weight=1.0
        )
        assert row.longest == 110
        encoded = Answers(id="", prompt=row.prompt, answers=row.answers, weight=1.0, encoded=True)
        assert (encoded.longest, encoded.length) == (60, 110)

    def test_too_long_for_learned_positions(self, make_run: MakeRun, models: dict[str, Path]) -> None:
        from tunekit.examples import CompletionExample

        long = [*rows(3), CompletionExample(id="long", prompt="a" * 70, completion="b")]
        with pytest.raises(DataError, match=r"longer than 64 tokens.*'long'"):
            train(make_run(long, model=models["bart"]))

    def test_cutting_a_prompt_does_not_help_a_long_answer(self) -> None:
        learned = Tokens(ids=(3,) * 70, weights=(1.0,) * 70)
        row = Answers(id="long", prompt=(2,) * 80, answers=(learned,), weight=1.0, encoded=True)
        cut_all = partial(
            fitting,
            [row],
            asked=None,
            too_long="truncate_prompt",
            shortened=lambda long, most: [
                row.without_beginning(row.longest - most, begin=None) for row in long
            ],
            part="training",
        )
        with pytest.raises(DataError, match="even where their prompts say next to nothing"):
            cut_all(limit=64)
        (cut,), _ = cut_all(limit=72)
        assert (len(cut.prompt), len(cut.answers[0].ids)) == (72, 70)


@pytest.mark.parametrize("kind", KINDS)
def test_log_probabilities_are_those_of_a_softmax_by_hand(models: dict[str, Path], kind: str) -> None:
    """Behind the start token, which is BART's own and T5's padding."""
    module = load.load_base(models[kind])
    model = EncoderDecoder.of(module, CPU, pad_id=0)
    module.eval()
    (row,) = answers(models[kind], 1)
    (answer,) = row.answers
    decoded = torch.tensor([[module.config.decoder_start_token_id, *answer.ids[:-1]]])
    with torch.no_grad():
        full = module(input_ids=torch.tensor([row.prompt]), decoder_input_ids=decoded).logits[0]
    expected = functional.log_softmax(full, dim=-1)[range(len(answer.ids)), list(answer.ids)]
    torch.testing.assert_close(model.score([row]).log_probs, expected, rtol=1e-5, atol=1e-6)
