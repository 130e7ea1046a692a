"""When it is time: what the base's host has announced, and scores whose rise is the loss."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.unit.retrain.rounds.products import Host, product, rows
from tunekit.retrain.rounds import BaseEnds, MetricDrop
from tunekit.retrain.rounds.triggers import Situation


def test_the_end_of_the_base_is_known_of_the_models_that_a_retrainer_makes(tmp_path: Path) -> None:
    host = Host(0.9)
    ends = datetime.fromtimestamp(host.clock.now(), tz=UTC).date() + timedelta(days=30)
    retrainer = product(tmp_path, host, base_ends=ends, code_version="c0ffee", triggers=(BaseEnds(days=60),))
    assert retrainer.due() == ()
    retrainer.run(rows("a"))
    assert retrainer.due()[0].startswith("the base model answers for ")
    version = retrainer.rounds.registry.version("bot@champion")
    assert (version.base_ends, version.code_version) == (ends, "c0ffee")


@pytest.mark.parametrize(
    ("then", "today", "lower", "says"),
    [(0.9, 0.8, False, "fallen"), (0.8, 0.9, False, ""), (3.0, 9.0, True, "risen"), (9.0, 3.0, True, "")],
)
def test_a_loss_is_a_fall_or_a_rise(then: float, today: float, lower: bool, says: str) -> None:
    seen = Situation(
        now=0.0,
        last=None,
        new_rows=0,
        before={},
        recent={},
        scores={"score": (then, today)},
        lower_is_better=frozenset({"score"} if lower else ()),
        base_ends=None,
    )
    assert says in MetricDrop(of="score", by=0.05).reason(seen)
    assert bool(says) == bool(MetricDrop(of="score", by=0.05).reason(seen))
