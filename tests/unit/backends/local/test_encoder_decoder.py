"""A T5 through the local backend with nothing replaced: trained in a child, served by a worker."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from tunekit import SFT, CompletionExample, Dataset, FineTuneJob, LoRA, Sampling, Settings, TuneSpec
from tunekit.backends.base import GenerateRequest, ScoreRequest
from tunekit.backends.local import LocalBackend
from tunekit.testing.tiny_models import make_tiny_t5

pytestmark = pytest.mark.timeout(300)  # interpreters that import torch, on machines that have other work too

ROWS = [CompletionExample(prompt=f"question {n}", completion="yes") for n in range(12)]
SPEC = TuneSpec(method=SFT(adapter=LoRA(rank=4)), epochs=4, learning_rate=1e-2, batch_size=4)


async def test_a_t5_is_tuned_and_answers(tmp_path: Path) -> None:
    model, settings = make_tiny_t5(tmp_path / "t5"), Settings(home=tmp_path / "home")
    backend = LocalBackend(settings=settings, threads=1)
    try:
        job = await FineTuneJob.submit_async(
            Dataset(ROWS), f"local:{model}", SPEC, backend=backend, settings=settings
        )
        tuned = await job.result_async(timeout_s=250)
        asked = [ScoreRequest(prompt="question 1", choices=("yes", "zebra"))]
        (before,), (after,) = await asyncio.gather(
            backend.score(str(model), asked), backend.score(tuned.id, asked)
        )
        assert after.log_probs[0] > before.log_probs[0]
        assert after.log_probs[0] > after.log_probs[1]
        (answer,) = await backend.generate(
            tuned.id, [GenerateRequest(prompt="question 1")], Sampling(max_tokens=4)
        )
        assert answer.usage.input_tokens == len("question 1") + 1
        assert 1 <= answer.usage.output_tokens <= 4
    finally:
        await backend.aclose()
