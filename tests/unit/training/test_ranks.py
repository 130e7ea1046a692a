"""Two ranks are one: the same losses, metrics and weights, however rows and weights are shared out between them."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load_file

from tests.unit.training.conftest import MakeRun, events, rows, train
from tests.unit.training.judged import judgements, preferences
from tests.unit.training.tiny_classifiers import labelled, make_classifier_base, without_dropout
from tunekit.errors import UnsupportedError
from tunekit.events import JobState
from tunekit.examples import CompletionExample, Example, Message, PromptExample
from tunekit.spec import DPO, KTO, RFT, SFT, Classify, EarlyStopping, FullWeights, L2ToStart, LoRA, TuneSpec
from tunekit.testing.tiny_models import make_tiny_t5
from tunekit.training.ranks.dealing import ForwardPasses, dealt
from tunekit.training.ranks.group import Ranks
from tunekit.training.ranks.refusals import refuse_sharing_out
from tunekit.training.run.rundir import RunDirectory
from tunekit.training.saving.artifacts import FISHER_NAME
from tunekit.training.texts.rows import Answers, Tokens

LORA = LoRA(rank=4)
GRADER = {
    "type": "python",
    # Not a function of the answer alone: ranks that graded on their own would come apart.
    "source": "import os\ndef grade(sample, item):\n    return (len(sample['output_text']) + os.getpid()) % 7 / 7",
}
WORKER = Path(__file__).with_name("ranks_worker.py")


@dataclass(frozen=True)
class Cell:
    """What is trained by one rank and by two."""

    model: str
    method: Any
    examples: Callable[[int], Sequence[Example]]
    strategies: tuple[str, ...] = ("ddp", "fsdp")
    fields: tuple[tuple[str, Any], ...] = ()
    held_out: Callable[[int], Sequence[Example]] | None = None


def contradictions(count: int) -> list[Example]:
    """The same prompts with other answers: whoever learns the rows gets worse here in the end."""
    return [each.replace(completion="no") for each in rows(count) if isinstance(each, CompletionExample)]


def prompts(count: int) -> list[PromptExample]:
    return [
        PromptExample(id=f"row-{n}", messages=(Message(role="user", content="ask " * (1 + n % 3) + str(n)),))
        for n in range(count)
    ]


HELD = (("stay_near", L2ToStart(strength=1.0)), ("keep_fisher", True))
CELLS = {
    "sft-lora": Cell("llama", SFT(adapter=LORA), rows),
    "sft-full": Cell("llama", SFT(adapter=FullWeights()), rows),
    "sft-best": Cell(
        "llama",
        SFT(adapter=LORA),
        rows,
        fields=(("early_stopping", EarlyStopping(patience=1)), ("epochs", 6)),
        held_out=lambda count: contradictions(count),
    ),
    "sft-range-test": Cell("llama", SFT(adapter=LORA), rows, fields=(("learning_rate", "range-test"),)),
    "sft-checkpointed": Cell("llama", SFT(adapter=LORA), rows, fields=(("gradient_checkpointing", True),)),
    "sft-held": Cell("llama", SFT(adapter=LORA), rows, fields=HELD),
    "sft-full-held": Cell("llama", SFT(adapter=FullWeights()), rows, fields=HELD),
    "t5": Cell("t5", SFT(adapter=LORA), rows),
    "t5-dpo": Cell("t5", DPO(adapter=LORA), preferences),
    "dpo": Cell("llama", DPO(adapter=LORA), preferences),
    "dpo-full": Cell("llama", DPO(adapter=FullWeights()), preferences),
    "kto": Cell("llama", KTO(adapter=LORA), judgements),
    "rft": Cell("llama", RFT(adapter=LORA, grader=GRADER, group_size=2, max_tokens=4), prompts, ("ddp",)),
    "classify": Cell("bert", Classify(adapter=LORA), labelled),
    "classify-full": Cell("bert", Classify(adapter=FullWeights()), labelled),
}
ALL = [(name, strategy) for name, cell in CELLS.items() for strategy in cell.strategies]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory, llama: Path) -> Callable[[str], RunDirectory]:
    """Every cell, trained by two ranks in both ways; gives the run of a name."""
    home = tmp_path_factory.mktemp("ranks")
    made = runs_of(home, llama)
    told = [f"{made[f'{name}-{strategy}'].path}:{strategy}" for name, strategy in ALL]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(sys.path)}
    ranks = [
        subprocess.Popen(
            [sys.executable, "-P", str(WORKER), str(rank), *told], stderr=subprocess.PIPE, env=environment
        )
        for rank in range(2)
    ]
    said = [rank.communicate()[1].decode() for rank in ranks]
    assert [rank.returncode for rank in ranks] == [0, 0], "\n".join(said)
    return made.__getitem__


def runs_of(home: Path, llama: Path) -> dict[str, RunDirectory]:
    """A run directory for every cell and way of sharing."""
    from tunekit.data.dataset import Dataset
    from tunekit.training.run.rundir import RunPlan

    bert = make_classifier_base("bert", home / "bert-with-dropout")
    bases = {
        "llama": llama,
        "t5": without_dropout(make_tiny_t5(home / "t5-with-dropout"), home / "t5"),
        "bert": without_dropout(bert, home / "bert"),
    }
    found = {}
    for name, strategy in [*ALL, *((name, "alone") for name in CELLS)]:
        cell = CELLS[name]
        spec = {"epochs": 2, "batch_size": 5, "micro_batch_size": 2, "learning_rate": 1e-2} | dict(
            cell.fields
        )
        plan = RunPlan(
            run_id=f"{name}-{strategy}",
            key=name,
            model=str(bases[cell.model]),
            spec=TuneSpec(method=cell.method, **spec),
            python=sys.executable,
            threads=1,
            validation=True,
            created_at=0.0,
        )
        train_rows, held_out = Dataset(cell.examples(11)), Dataset((cell.held_out or cell.examples)(5))
        found[plan.run_id] = RunDirectory.create(home / "runs", plan, train_rows, held_out)
    return found


@pytest.mark.parametrize(("name", "strategy"), ALL)
def test_two_ranks_are_one(trained: Callable[[str], RunDirectory], name: str, strategy: str) -> None:
    alone, together = trained(f"{name}-alone"), trained(f"{name}-{strategy}")
    if not alone.artifact_path.exists():
        result = train(alone)
        assert result is not None and result.state is JobState.SUCCEEDED
    if name == "rft":  # its grader draws lots, so only that the ranks stay together can be told
        assert together.artifact_path.exists()
        return
    for kind in ("step", "evaluated"):
        ours, theirs = events(together, kind), events(alone, kind)
        assert len(ours) == len(theirs)
        for one, other in zip(ours, theirs, strict=True):
            assert numbers(one) == pytest.approx(numbers(other), rel=2e-5, abs=2e-6)
    weights, expected = weights_of(together), weights_of(alone)
    assert weights.keys() == expected.keys()
    for key, value in weights.items():
        assert torch.allclose(value, expected[key], atol=2e-5), key
    assert preflight(together)["devices"] == 2
    if dict(CELLS[name].fields).get("keep_fisher"):
        known = load_file(alone.artifact_path / FISHER_NAME)
        for key, value in load_file(together.artifact_path / FISHER_NAME).items():
            torch.testing.assert_close(value, known[key], rtol=1e-2, atol=1e-3 * float(known[key].max()))
    if name == "sft-best":
        steps = len(events(together, "step"))
        assert "early stopping" in events(together, "notice")[-1].message and steps < 6 * 3


def numbers(event: Any) -> dict[str, float]:
    found = {"loss": event.loss, "norm": event.gradient_norm} if event.type == "step" else {}
    timed = ("target_tokens_per_s", "mfu")
    return found | {key: value for key, value in event.metrics.items() if key not in timed}


def weights_of(run: RunDirectory) -> dict[str, torch.Tensor]:
    (path,) = run.artifact_path.glob("*.safetensors")
    return load_file(path)


def preflight(run: RunDirectory) -> dict[str, Any]:
    (event,) = events(run, "preflight")
    report: dict[str, Any] = event.report
    return report


# --- dealing --------------------------------------------------------------------------------------


def row(length: int, at: int) -> Answers:
    answer = Tokens(ids=(1,) * length, weights=(1.0,) * length, row=str(at))
    return Answers(id=str(at), prompt=(), answers=(answer,), weight=1.0)


@given(st.lists(st.integers(1, 300), min_size=1, max_size=40), st.integers(1, 5))
def test_every_row_is_dealt_once_and_nobody_waits_longer_than_for_a_row(
    lengths: list[int], count: int
) -> None:
    given_rows = [row(length, at) for at, length in enumerate(lengths)]
    shares = dealt(given_rows, count)
    assert sorted(int(each.id) for share in shares for each in share) == list(range(len(lengths)))
    tokens = [sum(each.length for each in share) for share in shares]
    assert max(tokens) - min(tokens) <= max(each.length for each in given_rows)


@given(st.lists(st.integers(1, 300), min_size=1, max_size=40), st.integers(2, 5))
def test_ranks_with_shared_weights_make_equally_many_passes(lengths: list[int], count: int) -> None:
    given_rows = [row(length, at) for at, length in enumerate(lengths)]
    passes = [
        list(
            ForwardPasses(
                max_rows=3,
                max_tokens=400,
                stop=lambda: None,
                ranks=Ranks(rank=rank, count=count, strategy="fsdp"),
            ).own(given_rows)
        )
        for rank in range(count)
    ]
    assert len({len(each) for each in passes}) == 1
    counted = [each.id for own in passes for cut, counts in own if counts for each in cut]
    assert sorted(map(int, counted)) == list(range(len(lengths)))


# --- what cannot be shared out --------------------------------------------------------------------


@pytest.mark.parametrize(
    "method",
    [RFT(grader=GRADER), SFT(adapter=LoRA(rank=4, quantization="nf4"))],
    ids=["rft", "qlora"],
)
def test_what_cannot_be_shared_out_is_refused(method: Any) -> None:
    with pytest.raises(UnsupportedError, match="fsdp"):
        refuse_sharing_out(TuneSpec(method=method))
    refuse_sharing_out(TuneSpec(method=DPO()))


def test_a_rank_alone_says_nothing_to_anybody(make_run: MakeRun) -> None:
    alone = Ranks()
    assert alone.share({"a": 1}) == {"a": 1} and alone.gather(2) == [2]
    assert alone.total({"loss": 0.1}) == {"loss": 0.1}
    run = make_run(rows())
    train(run)
    assert preflight(run)["devices"] == 1
