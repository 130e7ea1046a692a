"""What is decided before training: order of rows, learning rates, automatic values, the report."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.training.conftest import MakeRun, events, rows, train
from tunekit.examples import ChatExample, Message
from tunekit.spec import SFT, Classify, FullWeights, LoRA, Method, TuneSpec
from tunekit.training.models import load
from tunekit.training.models.families import Family, Head
from tunekit.training.models.layouts import end_to_end, padded, positions
from tunekit.training.objectives.sft import Supervised
from tunekit.training.objectives.texts import Texts
from tunekit.training.plan.batches import Sampler, epoch_batches, micro_batches, total_steps
from tunekit.training.plan.recipe import Facts, auto_batch_size, auto_learning_rate, resolve
from tunekit.training.plan.schedule import learning_rate
from tunekit.training.texts import render
from tunekit.training.texts.rows import Answers, Tokens
from tunekit.training.texts.template import Template

LENGTHS = st.lists(st.integers(1, 50), min_size=1, max_size=200)
FACTS = Facts(rows=1000, hidden_size=2000, model_type="llama", vocabulary=32_000, max_length=2048)


def example(length: int) -> Answers:
    text = Tokens(ids=tuple(range(length)), weights=(0.0, *[1.0] * (length - 1)))
    return Answers(id=str(length), answers=(text,), weight=length - 1.0)


class TestOrder:
    """Which rows in which step."""

    @given(lengths=LENGTHS, batch_size=st.integers(1, 17), seed=st.integers(0, 9), epoch=st.integers(0, 9))
    def test_an_epoch_sees_every_row_once(
        self, lengths: list[int], batch_size: int, seed: int, epoch: int
    ) -> None:
        batches = epoch_batches(lengths, batch_size, seed, epoch)
        assert sorted(index for batch in batches for index in batch) == list(range(len(lengths)))
        assert all(1 <= len(batch) <= batch_size for batch in batches)
        assert len(batches) == total_steps(len(lengths), batch_size, 1)

    @given(lengths=LENGTHS, steps=st.lists(st.integers(0, 300), min_size=1, max_size=5))
    def test_a_step_is_the_same_whatever_came_before(self, lengths: list[int], steps: list[int]) -> None:
        used = Sampler(lengths, 4, seed=1)
        assert [used.at(step) for step in steps] == [Sampler(lengths, 4, seed=1).at(step) for step in steps]

    def test_seeds_and_epochs_differ(self) -> None:
        lengths = [1] * 64
        orders = {str(epoch_batches(lengths, 4, seed, epoch)) for seed in range(4) for epoch in range(4)}
        assert len(orders) == 16

    def test_batches_hold_rows_of_similar_length(self) -> None:
        lengths = [1 + n % 50 for n in range(400)]
        padded = sum(
            len(batch) * max(lengths[index] for index in batch) for batch in epoch_batches(lengths, 8, 0, 0)
        )
        in_file_order = sum(8 * max(lengths[at : at + 8]) for at in range(0, 400, 8))
        assert padded < 1.2 * sum(lengths) < in_file_order

    @given(lengths=LENGTHS, max_rows=st.integers(1, 9), max_tokens=st.integers(1, 120))
    def test_passes_hold_every_row_once_within_limits(
        self, lengths: list[int], max_rows: int, max_tokens: int
    ) -> None:
        cuts = micro_batches(
            [example(length) for length in lengths], max_rows=max_rows, max_tokens=max_tokens
        )
        assert sorted(item.length for cut in cuts for item in cut) == sorted(lengths)
        for cut in cuts:
            assert len(cut) <= max_rows
            assert len(cut) == 1 or len(cut) * max(item.length for item in cut) <= max_tokens

    def test_padded_layout(self) -> None:
        batch = padded([example(3), example(5)], pad_id=9, multiple=4)
        assert batch.ids.tolist() == [[0, 1, 2, 9, 9, 9, 9, 9], [0, 1, 2, 3, 4, 9, 9, 9]]
        assert batch.keep.tolist() == [[True] * 2 + [False] * 6, [True] * 4 + [False] * 4]
        assert batch.targets.tolist() == [1, 2, 1, 2, 3, 4]
        assert batch.kept.tolist() == list(range(6))
        assert batch.answers.tolist() == [0, 0, 1, 1, 1, 1]

    def test_answers_share_the_last_position_of_their_prompt(self) -> None:
        two = tuple(Tokens(ids=ids, weights=(1.0,) * len(ids)) for ids in ((7,), (8, 9)))
        batch = end_to_end([example(2), Answers(id="", prompt=(4, 5), answers=two, weight=1.0)])
        assert batch.ids.tolist() == [[0, 1, 4, 5, 7, 8, 9]]
        assert positions(batch.pieces).tolist() == [[0, 1, 0, 1, 2, 2, 3]]
        assert batch.keep[0].nonzero()[:, 0].tolist() == [0, 3, 5]
        assert batch.targets.tolist() == [1, 7, 8, 9]
        assert batch.kept.tolist() == [0, 1, 1, 2]
        assert batch.answers.tolist() == [0, 1, 2, 2]


class TestSchedule:
    """Learning rates."""

    @given(
        total=st.integers(1, 500),
        warmup=st.floats(0, 0.99),
        schedule=st.sampled_from(["linear", "cosine", "constant"]),
    )
    def test_rises_then_never_rises_and_stays_positive(
        self, total: int, warmup: float, schedule: Any
    ) -> None:
        rates = [
            learning_rate(step, total_steps=total, peak=2.0, schedule=schedule, warmup_ratio=warmup)
            for step in range(total)
        ]
        assert all(0.0 < rate <= 2.0 for rate in rates)
        top = rates.index(max(rates))
        assert rates[: top + 1] == sorted(rates[: top + 1])
        assert rates[top:] == sorted(rates[top:], reverse=True)

    def test_cosine_is_half_way_down_in_the_middle(self) -> None:
        rate = learning_rate(50, total_steps=100, peak=1.0, schedule="cosine", warmup_ratio=0.0)
        assert rate == pytest.approx(0.5)

    def test_constant_stays(self) -> None:
        assert learning_rate(99, total_steps=100, peak=1.0, schedule="constant", warmup_ratio=0.1) == 1.0


class TestRecipe:
    """What "auto" becomes."""

    def test_learning_rates_of_the_published_rule(self) -> None:
        llama_8b = Facts(rows=1, hidden_size=4096, model_type="llama", vocabulary=1, max_length=1)
        qwen_4b = Facts(rows=1, hidden_size=2560, model_type="qwen3", vocabulary=1, max_length=1)
        assert auto_learning_rate(llama_8b, alpha=32, steps=10**6) == pytest.approx(2.86e-4, rel=0.01)
        assert auto_learning_rate(llama_8b, alpha=32, steps=50) == pytest.approx(4.28e-4, rel=0.01)
        assert auto_learning_rate(qwen_4b, alpha=32, steps=10**6) == pytest.approx(4.9e-4, rel=0.01)
        assert auto_learning_rate(llama_8b, steps=50) == pytest.approx(2.86e-5, rel=0.01)

    def test_below_the_widths_of_the_fit_the_rate_is_in_inverse_proportion(self) -> None:
        narrow = Facts(rows=1, hidden_size=500, model_type="gpt2", vocabulary=1, max_length=1)
        assert auto_learning_rate(narrow, steps=1) == pytest.approx(2e-4)
        assert "2203.03466" in resolve(TuneSpec(), narrow).sources["learning_rate"]

    @pytest.mark.parametrize(
        ("family", "width", "rate"),
        [
            ("encoder", 384, 5e-4),
            ("encoder", 768, 3e-5),
            ("encoder", 1024, 2e-5),
            ("encoder-decoder", 512, 1e-4),
        ],
    )
    def test_learning_rates_of_classifiers(self, family: Family, width: int, rate: float) -> None:
        facts = Facts(
            rows=1,
            hidden_size=width,
            model_type="",
            family=family,
            head="classes",
            vocabulary=2,
            max_length=1,
        )
        assert auto_learning_rate(facts, steps=1) == rate
        assert auto_learning_rate(facts, alpha=32, steps=10**9) == pytest.approx(min(10 * rate, 4e-3))
        recipe = resolve(TuneSpec(method=Classify()), facts)
        assert recipe.learning_rate == rate
        assert "arXiv" in recipe.sources["learning_rate"] or family == "encoder-decoder"

    def test_an_automatic_rate_is_multiplied_as_asked(self) -> None:
        plain = resolve(TuneSpec(), FACTS)
        doubled = resolve(TuneSpec(options={"learning_rate_multiplier": 2}), FACTS)
        assert doubled.learning_rate == pytest.approx(2 * plain.learning_rate, rel=0.01)
        assert doubled.sources["learning_rate"].endswith("; times 2, as asked")

    def test_the_rate_is_bounded(self) -> None:
        tiny = Facts(rows=1, hidden_size=16, model_type="llama", vocabulary=1, max_length=1)
        assert auto_learning_rate(tiny, alpha=32, steps=1) == 8e-3

    @pytest.mark.parametrize("rank", [1, 2, 4, 8, 16, 32, 64, 128, 256])
    @pytest.mark.parametrize(("head", "most"), [("tokens", 8e-3), ("classes", 4e-3)])
    def test_a_low_rank_does_not_lift_the_rate_above_its_bound(
        self, rank: int, head: Head, most: float
    ) -> None:
        tiny = Facts(
            rows=100, hidden_size=64, model_type="", family="encoder", head=head, vocabulary=2, max_length=9
        )
        method: Method = (
            Classify(adapter=LoRA(rank=rank)) if head == "classes" else SFT(adapter=LoRA(rank=rank))
        )
        found = resolve(TuneSpec(method=method), tiny).learning_rate
        assert found <= most
        assert found <= 8e-3 * 32 / (2 * rank)

    def test_an_accelerator_takes_more_tokens_in_a_pass(self) -> None:
        llama = replace(FACTS, vocabulary=128_256)
        found = [
            resolve(TuneSpec(), replace(llama, memory_bytes=size)).micro_tokens
            for size in (None, 24 << 30, 80 << 30, 141 << 30)
        ]
        assert found == [523, 2092, 6976, 8192]

    @given(count=st.integers(1, 100_000), epochs=st.floats(0.1, 20))
    def test_batch_sizes(self, count: int, epochs: float) -> None:
        assert auto_batch_size(count, epochs) in (4, 8, 16, 32)

    def test_a_head_of_classes_learns_from_larger_batches(self) -> None:
        few = replace(FACTS, rows=300)
        assert resolve(TuneSpec(), few).batch_size == 4
        assert resolve(TuneSpec(method=Classify()), few).batch_size == 8

    def test_what_was_given_is_kept_and_not_explained(self) -> None:
        spec = TuneSpec(
            batch_size=3,
            learning_rate=1e-3,
            micro_batch_size=2,
            checkpoint_every_steps=5,
            evaluate_every_steps=6,
            max_length=100,
        )
        recipe = resolve(spec, FACTS)
        assert (recipe.batch_size, recipe.learning_rate, recipe.micro_rows) == (3, 1e-3, 2)
        assert (recipe.checkpoint_every, recipe.evaluate_every, recipe.max_length) == (5, 6, 100)
        assert recipe.sources == {}

    def test_every_automatic_value_names_its_rule(self) -> None:
        recipe = resolve(TuneSpec(), FACTS)
        assert set(recipe.sources) == {
            "batch_size",
            "learning_rate",
            "micro_batch_size",
            "evaluate_every_steps",
            "checkpoint_every_steps",
        }
        assert recipe.micro_tokens == (1 << 26) // 32_000

    def test_a_batch_is_never_larger_than_the_data(self) -> None:
        few = Facts(rows=2, hidden_size=64, model_type="llama", vocabulary=100, max_length=64)
        recipe = resolve(TuneSpec(batch_size=8, max_length=1000), few)
        assert (recipe.batch_size, recipe.total_steps, recipe.max_length) == (2, 3, 64)


class TestReport:
    """The preflight event."""

    def test_it_counts_what_there_is(self, make_run: MakeRun, llama: Path) -> None:
        unanswered = ChatExample(id="quiet", messages=(Message(role="user", content="hello?"),))
        run = make_run([*rows(12), unanswered], method=SFT(adapter=FullWeights()), learning_rate="auto")
        train(run)
        (report,) = [event.report for event in events(run, "preflight")]
        tokenizer = load.load_tokenizer(llama)
        tokens = [render.render_example(tokenizer, item) for item in rows(12)]
        assert report["rows"] == report["rows_that_learn_to_stop"] == 12
        assert report["rows_without_target"] == 1
        assert report["tokens"] == sum(len(item.ids) for item in tokens)
        assert report["target_tokens"] == sum(item.target_count for item in tokens)
        assert report["longest"] == max(len(item.ids) for item in tokens)
        assert report["stop_tokens"] == ["<|endoftext|>", "<|im_end|>"]
        assert report["steps"] == 6
        assert report["trainable_parameters"] == report["parameters"] > 0
        assert report["learning_rate"] == auto_learning_rate(
            Facts(rows=12, hidden_size=32, model_type="llama", vocabulary=260, max_length=256),
            steps=6,
        )
        assert "tinker" in report["auto"]["learning_rate"]
        assert any("'quiet'" in warning for warning in report["warnings"])

    def test_a_template_that_serves_another_prompt_is_warned_about(
        self, make_run: MakeRun, llama: Path, tmp_path: Path
    ) -> None:
        import shutil

        model = Path(shutil.copytree(llama, tmp_path / "thinks"))
        template = model / "chat_template.jinja"
        template.write_text(template.read_text().replace("assistant\\n' }}", "assistant\\n<think>' }}"))
        run = make_run(model=model, epochs=1)
        train(run)
        (report,) = [event.report for event in events(run, "preflight")]
        assert any("'row-0'" in warning and "20 rows" in warning for warning in report["warnings"])

    def test_the_sample_shows_what_is_learned(self, llama: Path) -> None:
        tokenizer = load.load_tokenizer(llama)
        texts = Texts(template=Template.of(tokenizer), prompt_format="chat", family="decoder")
        sample = texts.sample(Supervised(texts).row(rows()[0]))
        assert sample == ("<|im_start|>user\nask 0<|im_end|>\n<|im_start|>assistant\n⟦answer 0<|im_end|>⟧\n")

    def test_rows_that_never_stop_are_warned_about(
        self, make_run: MakeRun, llama: Path, tmp_path: Path
    ) -> None:
        import shutil

        from transformers import AutoTokenizer

        model = Path(shutil.copytree(llama, tmp_path / "endless"))
        tokenizer = AutoTokenizer.from_pretrained(model)
        tokenizer.eos_token = None
        tokenizer.chat_template = None
        tokenizer.save_pretrained(model)
        (model / "chat_template.jinja").unlink(missing_ok=True)
        run = make_run(model=model, epochs=1)
        train(run)
        (report,) = [event.report for event in events(run, "preflight")]
        assert report["rows_that_learn_to_stop"] == 0
        assert any("stop token" in warning for warning in report["warnings"])
