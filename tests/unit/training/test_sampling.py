"""Tokens are drawn from exactly the distribution that was asked for, held against a sampler written by hand."""

from __future__ import annotations

import math
from itertools import accumulate

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tunekit.errors import ModelError
from tunekit.training.serving.sampling import chosen, draw_key, probabilities, uniform

WIDTH = 12
LOGITS = st.lists(st.integers(-80, 80).map(lambda n: n / 16), min_size=WIDTH, max_size=WIDTH)


def by_hand(logits: list[float], temperature: float, top_p: float) -> list[float]:
    """What a textbook does, in Python's own floats."""
    weights = [math.exp((value - max(logits)) / temperature) for value in logits]
    found = [weight / math.fsum(weights) for weight in weights]
    if top_p >= 1:
        return found
    ordered = sorted(found, reverse=True)
    last = next((at for at, mass in enumerate(accumulate(ordered)) if mass >= top_p), len(ordered) - 1)
    return [value if value >= ordered[last] * (1 - 1e-12) else 0.0 for value in found]


def drawn_by_hand(weights: list[float], draw: float) -> int:
    mark = draw * math.fsum(weights)
    return next(at for at, mass in enumerate(accumulate(weights)) if mass > mark)


@given(LOGITS, st.floats(0.1, 5.0), st.sampled_from([0.1, 0.37, 0.5, 0.93, 1.0]), st.floats(0.001, 0.999))
@settings(max_examples=150, deadline=None)
def test_a_draw_is_that_of_a_sampler_written_by_hand(
    logits: list[float], temperature: float, top_p: float, draw: float
) -> None:
    weights = by_hand(logits, temperature, top_p)
    found = probabilities(torch.tensor([logits]), temperature=temperature, top_p=top_p)[0].tolist()
    borderline = any(
        abs(mass - top_p) < 1e-9 for mass in accumulate(sorted(by_hand(logits, temperature, 1), reverse=True))
    )
    if borderline and top_p < 1:
        return
    assert found == pytest.approx(weights, rel=1e-9, abs=1e-15)
    edges = [mass / math.fsum(weights) for mass in accumulate(weights)]
    if min(abs(edge - draw) for edge in edges) > 1e-9:
        (token,) = chosen(torch.tensor([logits]), temperature=temperature, top_p=top_p, draws=[draw]).tolist()
        assert token == drawn_by_hand(weights, draw)


def test_a_nucleus_may_be_larger_than_what_is_looked_at_first() -> None:
    flat = torch.zeros(1, 3000)
    flat[0, :1000] = 0.01  # a little likelier: the nucleus of 0.2 lies within them, and they are all alike
    assert int((probabilities(flat, temperature=1.0, top_p=0.2) > 0).sum()) == 1000
    assert int((probabilities(flat, temperature=1.0, top_p=0.9) > 0).sum()) == 3000


def test_frequencies_of_many_keys_are_the_probabilities() -> None:
    logits = torch.tensor([0.0, 1.0, 2.0, -1.0])
    count = 4000
    draws = [uniform(draw_key(seed, [5, 6]), 3) for seed in range(count)]
    tokens = chosen(logits.expand(count, -1), temperature=1.0, top_p=1.0, draws=draws)
    expected = logits.softmax(-1) * count
    seen = torch.bincount(tokens, minlength=4)
    assert float(((seen - expected) ** 2 / expected).sum()) < 16.3  # chi-squared, 3 degrees: 1 in 1,000


@pytest.mark.parametrize("temperature", [1e-320, 1e-30, 1e-4])
def test_next_to_no_temperature_is_greedy(temperature: float) -> None:
    logits = torch.tensor([[1.0, 3.0, 2.9], [-5.0, -9.0, -7.0]])
    tokens = chosen(logits, temperature=temperature, top_p=1.0, draws=[0.999999, 0.000001])
    assert tokens.tolist() == chosen(logits, temperature=0.0, top_p=1.0, draws=[]).tolist() == [1, 0]


def test_the_smallest_top_p_is_greedy() -> None:
    logits = torch.tensor([[1.0, 3.0, 2.9]])
    assert chosen(logits, temperature=9.0, top_p=1e-9, draws=[0.9]).tolist() == [1]


@pytest.mark.parametrize("draw", [0.5 / 2**52, 1 - 0.5 / 2**52])
def test_the_first_and_the_last_draw_hit_tokens_that_can_be_drawn(draw: float) -> None:
    logits = torch.tensor([[-1e4, 0.3, 0.1, -1e4]])
    (token,) = chosen(logits, temperature=1.0, top_p=1.0, draws=[draw]).tolist()
    assert token == (1 if draw < 0.5 else 2)


@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_a_model_without_numbers_is_an_error(temperature: float) -> None:
    with pytest.raises(ModelError, match="NaN"):
        chosen(torch.tensor([[0.0, math.nan]]), temperature=temperature, top_p=1.0, draws=[0.5])


def test_keys_differ_by_seed_and_prompt_and_draws_by_place() -> None:
    keys = [draw_key(seed, prompt) for seed in (0, 1) for prompt in ([1], [2], [1, 2], [12], [])]
    assert len({uniform(key, place) for key in keys for place in range(3)}) == 30
    assert uniform(draw_key(7, [1, 2]), 0) == 0.5772312071022924, (
        "the same on every machine and in every version"
    )
