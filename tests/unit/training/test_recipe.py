"""Rules for epochs and rank: what they choose, that they say why, and that training follows them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.unit.training.conftest import MakeRun, events, train
from tunekit.errors import UnsupportedError
from tunekit.spec import DPO, KTO, SFT, Classify, FullWeights, LoRA, Method, TuneSpec
from tunekit.training.models import load
from tunekit.training.models.adapters import make_trainable, trainable_parameters, weights_per_rank
from tunekit.training.plan.recipe import Facts, auto_epochs, auto_rank, resolve

FACTS = Facts(rows=1000, hidden_size=512, model_type="llama", vocabulary=32_000, max_length=2048)


@pytest.mark.parametrize(
    ("method", "rows", "epochs", "source"),
    [
        (SFT(), 10, 10.0, "cookbook"),
        (SFT(), 2, 25.0, "cookbook"),
        (SFT(), 1000, 3.0, "cookbook"),
        (SFT(), 100_000, 1.0, "cookbook"),
        (DPO(), 10, 1.0, "alignment-handbook"),
        (DPO(loss="simpo"), 5000, 1.0, "alignment-handbook"),
        (DPO(loss="orpo"), 1000, 3.0, "cookbook"),
        (KTO(), 1000, 1.0, "alignment-handbook"),
        (Classify(), 2500, 20.0, "2006.04884"),
        (Classify(), 2501, 3.0, "1810.04805"),
    ],
)
def test_epochs(method: Method, rows: int, epochs: float, source: str) -> None:
    found, rule = auto_epochs(method, rows)
    assert found == epochs
    assert source in rule


@pytest.mark.parametrize(
    ("tokens", "per_rank", "rank"),
    [
        (1, 1_000_000, 8),
        (32_000_000, 1_000_000, 16),
        (32_000_001, 1_000_000, 32),
        (10**12, 1_000_000, 256),
        (0, 0, 8),
    ],
)
def test_rank(tokens: int, per_rank: int, rank: int) -> None:
    facts = Facts(
        rows=1,
        target_tokens=tokens,
        weights_per_rank=per_rank,
        hidden_size=64,
        model_type="llama",
        vocabulary=300,
        max_length=64,
    )
    assert auto_rank(facts) == rank


def test_what_was_set_stays() -> None:
    recipe = resolve(TuneSpec(method=SFT(adapter=LoRA(rank=5)), epochs=2.5), FACTS)
    assert (recipe.epochs, recipe.rank) == (2.5, 5)
    assert not {"epochs", "rank"} & recipe.sources.keys()
    assert resolve(TuneSpec(method=SFT(adapter=FullWeights())), FACTS).rank is None


def rate_of(adapter: LoRA | FullWeights, rows: int = 100) -> float:
    facts = Facts(rows=rows, hidden_size=2000, model_type="llama", vocabulary=32_000, max_length=2048)
    return resolve(TuneSpec(method=SFT(adapter=adapter)), facts).learning_rate


def test_an_adapter_takes_10_to_15_times_the_rate() -> None:
    assert rate_of(LoRA(alpha=32), rows=100) == pytest.approx(15 * rate_of(FullWeights(), rows=100), rel=1e-2)
    assert rate_of(LoRA(alpha=32), rows=10**6) == pytest.approx(
        10 * rate_of(FullWeights(), rows=10**6), rel=1e-2
    )


@pytest.mark.parametrize(
    ("adapter", "times"),
    [
        (LoRA(), 1 / 2),  # alpha is 64
        (LoRA(rank=64), 1 / 4),
        (LoRA(rank=8), 2),
        (LoRA(rank=64, alpha=32), 1),
        (LoRA(rank=16, rslora=True), 1 / 4),  # what it learns counts alpha / 4 where it was alpha / 16
        (LoRA(rank=16, alpha=8, rslora=True), 1),
    ],
)
def test_the_more_an_adapter_counts_the_lower_is_its_rate(adapter: LoRA, times: float) -> None:
    assert rate_of(adapter) == pytest.approx(times * rate_of(LoRA(alpha=32)), rel=1e-2)


@pytest.mark.parametrize("targets", ["all-linear", ("q_proj", "mlp.down_proj")])
def test_weights_per_rank_are_those_that_an_adapter_has(llama: Path, targets: str | tuple[str, ...]) -> None:
    adapter = LoRA.model_validate({"rank": 3, "target_modules": targets})
    model = load.load_base(llama)
    each = weights_per_rank(model, adapter)
    tuned = make_trainable(model, adapter, seed=0)
    assert 3 * each == sum(value.numel() for value in trainable_parameters(tuned).values())
    assert weights_per_rank(load.load_base(llama), FullWeights()) == 0


def test_training_follows_them_and_says_so(make_run: MakeRun) -> None:
    run = make_run(method=SFT(adapter=LoRA(rank="auto")), epochs="auto", batch_size=20)
    train(run)
    (report,) = [event.report for event in events(run, "preflight")]
    assert (report["epochs"], report["rank"], report["steps"]) == (5, 8, 5)
    assert {"epochs", "rank"} <= report["auto"].keys()
    assert json.loads((run.artifact_path / "adapter_config.json").read_text())["r"] == 8
    card = json.loads((run.artifact_path / "tunekit.json").read_text())
    assert (card["resolved"]["epochs"], card["resolved"]["rank"]) == (5, 8)
    assert card["spec"]["epochs"] == "auto"


def test_compile_is_refused_rather_than_ignored(make_run: MakeRun) -> None:
    with pytest.raises(UnsupportedError, match="does not compile"):
        train(make_run(compile=True))
