"""What a job would come to: numbers that follow from the data, and None with a note where nobody knows."""

from __future__ import annotations

import json

import pytest

from tunekit.data.advice.cost import estimate, openai_epochs, price_of
from tunekit.data.profiles import profile_of
from tunekit.data.tokens import TextCounter
from tunekit.errors import SpecError
from tunekit.examples import CompletionExample

WORDS = TextCounter(name="words", tokens_of=lambda text: len(text.split()), prompt_format="text")


def rows(count: int, words: int = 9) -> list[CompletionExample]:
    return [CompletionExample(prompt="word " * words, completion="yes") for _ in range(count)]


@pytest.mark.parametrize(
    ("count", "epochs"),
    # 3, but at least 100 examples and at most 25,000 in all, and never more than 25 epochs.
    [
        (1, 25),
        (4, 25),
        (5, 20),
        (10, 10),
        (33, 3),
        (34, 3),
        (8_333, 3),
        (8_334, 2),
        (12_501, 1),
        (1_000_000, 1),
        (0, 3),
    ],
)
def test_openai_decides_on_epochs_by_the_number_of_rows(count: int, epochs: int) -> None:
    assert openai_epochs(count) == epochs


def test_tokens_times_epochs_is_what_is_billed() -> None:
    job = estimate(rows(200), "openai:gpt-4o-2024-08-06", counter=WORDS)
    assert (job.tokens.total, job.epochs, job.trained_tokens) == (2_000, 3.0, 6_000)
    assert job.usd == pytest.approx(6_000 * 25 / 1e6)
    assert job.price is not None and job.price.as_of == "2024-08-20"
    assert "200 rows, 2,000 tokens (counted by words)" in str(job)
    assert "about $0.15, at $25 per million tokens (as of 2024-08-20)" in str(job)


def test_money_is_a_range_where_tokens_or_epochs_are_not_certain() -> None:
    exact = estimate(rows(200), "openai:gpt-4o-2024-08-06", epochs=3, counter=WORDS)
    assert exact.usd == exact.usd_low == exact.usd_high
    chosen = estimate(rows(200), "openai:gpt-4o-2024-08-06", counter=WORDS)
    assert (chosen.usd_low, chosen.usd, chosen.usd_high) == pytest.approx((0.05, 0.15, 0.15))
    assert "from $0.05 to $0.15" in str(chosen)
    guessed = estimate(rows(200), "nebius:Qwen/Qwen2.5-0.5B", epochs=0.5, usd_per_million_tokens=1e6)
    usd = guessed.trained_tokens
    assert (guessed.usd_low, guessed.usd, guessed.usd_high) == pytest.approx((usd / 1.28, usd, usd / 0.72))
    unknown = estimate(rows(200), "together", counter=WORDS)
    assert unknown.usd_low is unknown.usd_high is None


def test_a_row_that_would_be_cut_is_billed_as_cut() -> None:
    job = estimate([*rows(1, words=99_999), *rows(1)], "openai:gpt-4o-2024-08-06", epochs=1, counter=WORDS)
    assert job.trained_tokens == 65_536 + 10
    assert job.tokens.learned == 0 + 1


def test_the_first_fine_tuning_api_had_its_own_defaults() -> None:
    job = estimate(rows(2_000), "openai:davinci-002", counter=WORDS)
    assert (job.epochs, job.batch_size, job.steps) == (4.0, 4, 2_000)
    few = estimate(rows(20), "openai:babbage-002", counter=WORDS)
    assert (few.batch_size, few.steps) == (1, 80)


def test_elsewhere_the_default_is_our_own() -> None:
    job = estimate(rows(10), "together:Qwen/Qwen3-8B", counter=WORDS)
    assert (job.epochs, job.epochs_reason) == (3.0, "TuneSpec's default")


def test_what_the_caller_knows_is_taken() -> None:
    job = estimate(
        rows(100),
        "local",
        epochs=1.5,
        batch_size=8,
        usd_per_million_tokens=2.0,
        tokens_per_second=10,
        counter=WORDS,
    )
    assert (job.trained_tokens, job.steps, job.seconds) == (1_500, 19, 150.0)
    assert job.usd == pytest.approx(0.003)
    assert "19 steps of 8" in str(job) and "2 minutes" in str(job) and "less than a cent" in str(job)


@pytest.mark.parametrize(
    "target",
    ["openai:gpt-4.1-mini-2025-04-14", "openai:gpt-4o-mini-2024-07-18", "foundry", "fireworks", "together"],
)
def test_an_unknown_price_is_none_with_a_way_out(target: str) -> None:
    job = estimate(rows(10), target, counter=WORDS)
    assert job.usd is None and job.steps is None and job.seconds is None
    assert any("pass usd_per_million_tokens=" in note for note in job.notes)
    assert any("pass batch_size=" in note for note in job.notes)
    assert any("pass tokens_per_second=" in note for note in job.notes)


def test_training_at_home_has_no_price_list() -> None:
    job = estimate(rows(10), "local:Qwen/Qwen3-0.6B", counter=WORDS)
    assert job.usd is None and not any("price" in note for note in job.notes)


def test_what_is_billed_by_time_says_so() -> None:
    job = estimate(rows(10), "openai:o4-mini-2025-04-16", counter=WORDS)
    assert job.usd is None
    assert any("$100 an hour" in note for note in job.notes)


@pytest.mark.parametrize(
    ("target", "usd"),
    [
        ("nebius:meta-llama/Meta-Llama-3.1-8B-Instruct", 0.40),
        ("nebius:Qwen/Qwen2.5-0.5B", 0.40),
        ("nebius:meta-llama/Llama-3.3-70B-Instruct", None),
        ("nebius:acme/model", None),
        ("nebius", None),
    ],
)
def test_a_price_may_hold_for_small_models_only(target: str, usd: float | None) -> None:
    price = price_of(profile_of(target))
    assert (price.usd_per_million_tokens if price else None) == usd


@pytest.mark.parametrize(
    ("wrong", "name"),
    [
        ({"epochs": 0}, "epochs"),
        ({"epochs": "three"}, "epochs"),
        ({"batch_size": 2.5}, "batch_size"),
        ({"batch_size": True}, "batch_size"),
        ({"usd_per_million_tokens": float("nan")}, "usd_per_million_tokens"),
        ({"tokens_per_second": -1}, "tokens_per_second"),
    ],
)
def test_numbers_out_of_range_are_refused(wrong: dict[str, object], name: str) -> None:
    with pytest.raises(SpecError, match=f"^{name} is") as caught:
        estimate(rows(1), "openai", **wrong)  # type: ignore[arg-type]
    assert caught.value.hint


def test_no_rows_cost_nothing() -> None:
    job = estimate([], "openai:gpt-4o", counter=WORDS)
    assert (job.trained_tokens, job.usd) == (0, 0.0)


def test_it_is_plain_json() -> None:
    job = estimate(rows(10), "openai:gpt-4o", counter=WORDS)
    body = json.loads(json.dumps(job.to_dict()))
    assert body["tokens"]["rows"] == 10 and body["price"]["usd_per_million_tokens"] == 25.0
