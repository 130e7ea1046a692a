"""The winner's curse against its simulation, on items that are harder and easier for all. Knows scores of items."""

from __future__ import annotations

from random import Random

import pytest

from tunekit.tuning.luck import optimism


def test_it_is_how_much_the_best_of_equal_models_reads_too_high() -> None:
    random = Random(5)
    excess, told = [], []
    for _ in range(60):
        chances = [random.choice([0.1, 0.5, 0.95]) for _ in range(200)]
        truth = sum(chances) / 200
        models = [
            {f"{item}": float(random.random() < chance) for item, chance in enumerate(chances)}
            for _ in range(8)
        ]
        excess.append(max(sum(scores.values()) for scores in models) / 200 - truth)
        told.append(optimism(models) or 0.0)
    # The standard error of the mean excess of 60 is 0.0021.
    assert sum(told) / 60 == pytest.approx(sum(excess) / 60, abs=0.006)


def test_items_that_one_of_them_has_no_score_for_are_left_out() -> None:
    models = [{"a": 1.0, "b": 0.0, "c": 1.0}, {"a": 0.0, "b": 0.0, "d": 1.0}]
    assert optimism(models) == optimism([{"a": 1.0, "b": 0.0}, {"a": 0.0, "b": 0.0}])
    assert optimism([{"a": 1.0}, {"b": 1.0}]) is None and optimism([]) is None
