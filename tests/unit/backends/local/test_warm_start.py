"""Going on from an earlier job through the public API, and what that has to do with a job's key."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.kill.harness import DATA, make_model
from tunekit import (
    SFT,
    FineTuneJob,
    LoRA,
    MissingExtraError,
    ModelError,
    RefError,
    Settings,
    SpecError,
    TuneSpec,
)
from tunekit.backends.base import SubmitRequest
from tunekit.backends.local import LocalBackend
from tunekit.jobs.intent import draft_run
from tunekit.training.saving.artifacts import read_card

pytestmark = pytest.mark.timeout(300)  # interpreters that import torch, on machines that have other work too


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_model(tmp_path_factory.mktemp("model") / "tiny")


@pytest.fixture
def backend(tmp_path: Path) -> Iterator[LocalBackend]:
    backend = LocalBackend(settings=Settings(home=tmp_path / "home"), threads=1)
    yield backend
    asyncio.run(backend.aclose())


def spec(warm_start: str | None = None, *, adapter: LoRA | None = None) -> TuneSpec:
    return TuneSpec(
        method=SFT(adapter=adapter or LoRA()),
        epochs=1,
        learning_rate=1e-2,
        batch_size=4,
        warm_start=warm_start,
    )


def test_what_result_returned_is_what_the_next_job_goes_on_from(
    model: Path, backend: LocalBackend, tmp_path: Path
) -> None:
    settings, base = Settings(home=tmp_path / "home"), f"local:{model}"
    first = FineTuneJob.submit(DATA, base, spec(adapter=LoRA(rank=2)), backend=backend, settings=settings)
    tuned = first.result(timeout_s=250)
    second = FineTuneJob.submit(DATA, base, spec(tuned), backend=backend, settings=settings)
    again = second.result(timeout_s=250)
    card = read_card(settings.runs / again.id / "artifact")
    assert [parent.run_id for parent in card.parents] == [tuned.id]
    weights = settings.runs / tuned.id / "artifact" / "adapter_model.safetensors"
    data = bytearray(weights.read_bytes())
    data[-2] ^= 1
    weights.write_bytes(data)
    with pytest.raises(ModelError, match=r"'adapter_model\.safetensors' in '.*' has changed since"):
        FineTuneJob.submit(DATA[:8], base, spec(tuned), backend=backend, settings=settings)


async def test_another_model_behind_the_same_path_is_another_job(
    model: Path, backend: LocalBackend, tmp_path: Path
) -> None:
    earlier = Path(shutil.copytree(model, tmp_path / "earlier"))

    async def key(warm_start: str | None) -> str:
        request = SubmitRequest(model=str(model), spec=spec(warm_start), train=DATA, idempotency_key="")
        return (await draft_run(backend, request, now=0.0)).key

    before = await key(f"local:{earlier}")
    assert before == await key(f"local:{earlier}")
    assert before != await key(None)
    (earlier / "generation_config.json").write_text("{}")
    assert before != await key(f"local:{earlier}")


@pytest.mark.parametrize(("warm_start", "error"), [("openai:ft:acme", SpecError), ("nonsense", RefError)])
def test_what_is_no_local_model_is_refused(
    model: Path, backend: LocalBackend, tmp_path: Path, warm_start: str, error: type[Exception]
) -> None:
    settings = Settings(home=tmp_path / "home")
    with pytest.raises(error):
        FineTuneJob.submit(DATA, f"local:{model}", spec(warm_start), backend=backend, settings=settings)


async def test_four_bits_without_bitsandbytes_are_refused_at_once(model: Path, backend: LocalBackend) -> None:
    asked = spec(adapter=LoRA(quantization="nf4"))
    request = SubmitRequest(model=str(model), spec=asked, train=DATA, idempotency_key="nf4")
    with pytest.raises(MissingExtraError, match="bitsandbytes"):
        await backend.submit(request)
