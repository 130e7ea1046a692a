"""Answers of a loaded model: what stands beside a prompt in a batch changes nothing for it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tunekit.spec import Sampling
from tunekit.training import load
from tunekit.training.generate import generate


@pytest.fixture(scope="module")
def endless(llama: Path) -> Any:
    """A model that never stops of itself, so that only limits end its answers."""
    import dataclasses

    return dataclasses.replace(load.load(llama), stop_ids=())


@pytest.mark.parametrize("long", [150, 200, 230])
def test_a_long_neighbour_does_not_cut_a_short_prompts_answer(endless: Any, long: int) -> None:
    sampling = Sampling(max_tokens=64)
    short, neighbour = {"prompt": "a"}, {"prompt": "b" * long}
    (alone,) = generate(endless, [short], sampling)
    beside, cut = generate(endless, [short, neighbour], sampling)
    assert alone["usage"]["output_tokens"] == 64
    assert (beside["text"], beside["usage"]["output_tokens"]) == (alone["text"], 64)
    assert cut["usage"]["output_tokens"] == min(64, 256 - cut["usage"]["input_tokens"])
