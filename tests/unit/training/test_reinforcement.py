"""RFT: its gradient against REINFORCE written by hand, and against itself done another way; and that it learns."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.unit.training.conftest import MakeRun, artifact_bytes, events, losses, train
from tests.unit.training.judged import ALL_TOGETHER, CPU, decoder, gradient_of, moved
from tunekit.errors import DataError, SpecError, UnsupportedError
from tunekit.events import JobState
from tunekit.examples import CompletionExample, Message, PromptExample
from tunekit.spec import RFT, FullWeights, LastLayers, LoRA, Sampling
from tunekit.testing.tiny_models import make_tiny_t5
from tunekit.training.models import load
from tunekit.training.objectives.reinforcement import ReinforcementLearner, Reinforcing
from tunekit.training.objectives.rewards import Group
from tunekit.training.objectives.texts import Texts
from tunekit.training.serving import generate
from tunekit.training.texts.rows import Tokens
from tunekit.training.texts.template import Template

LORA = LoRA(rank=4)
# Letters before "n" are good: an untrained model writes some by chance, and a little luck can be learned from.
EARLY = "def grade(sample, item):\n    text = sample['output_text']\n    return sum('a' <= c <= 'm' for c in text) / 8"
RIGHT: dict[str, Any] = {
    "type": "string_check",
    "operation": "eq",
    "input": "{{sample.output_text}}",
    "reference": "{{item.answer}}",
}


def python(source: str) -> dict[str, Any]:
    return {"type": "python", "source": source}


def prompts(count: int = 8, **reference: Any) -> list[PromptExample]:
    return [
        PromptExample(
            id=f"row-{n}",
            messages=(Message(role="user", content="ask " * (1 + n % 3) + str(n)),),
            reference=reference or {"answer": "4"},
        )
        for n in range(count)
    ]


def rft(**fields: Any) -> RFT:
    return RFT(**{"adapter": LORA, "grader": python(EARLY), "group_size": 4, "max_tokens": 6, **fields})


def texts(model: Path, family: Any = "decoder") -> Texts:
    template = Template.of(load.load_tokenizer(model))
    return Texts(template=template, prompt_format="chat" if template.has_chat else "text", family=family)


def nothing(text: str) -> None:
    """Nobody is warned."""


def learner_of(model: Path, module: Any, method: RFT, *, end_to_end: bool = False) -> ReinforcementLearner:
    found = Reinforcing.of(method, texts(model), prompts(), nothing).learner(module, CPU, longest=64)
    assert isinstance(found, ReinforcementLearner)
    return replace(found, model=decoder(module, end_to_end=end_to_end))


def group(at: int, rewards: Sequence[float]) -> Group:
    """A made-up group with answers of different lengths."""
    answers = tuple(
        Tokens(ids=tuple(5 + (at * 7 + n * 3 + k) % 200 for k in range(2 + n)), weights=(1.0,) * (2 + n))
        for n in range(len(rewards))
    )
    return Group(
        id=f"row-{at}",
        prompt=tuple(range(10 + at, 20 + 2 * at)),
        answers=answers,
        weight=float(sum(len(answer.ids) for answer in answers)),
        rewards=tuple(rewards),
        log_probs=(0.0,) * len(rewards),
        cut=0,
        unreadable=0,
    )


GROUPS = [group(0, [1.0, 0.0, 0.5]), group(1, [0.25, 0.25, 0.25]), group(2, [0.0, 0.0, 3.0])]


def log_probs(model: Any, row: Group, temperature: float) -> list[torch.Tensor]:
    """Of each token of each answer, one whole text at a time, from full logits."""
    found = []
    for answer in row.answers:
        ids = torch.tensor([row.prompt + answer.ids])
        logits = model(input_ids=ids).logits[0, :-1].double() / temperature
        each = logits.log_softmax(-1).gather(-1, ids[0, 1:, None])[:, 0]
        found.append(each[len(row.prompt) - 1 :])
    return found


@pytest.mark.parametrize("end_to_end", [False, True], ids=["padded", "prompt shared"])
@pytest.mark.parametrize("kl_weight", [0.0, 0.3])
@pytest.mark.parametrize("temperature", [1.0, 0.6])
def test_loss_and_gradient_are_those_of_reinforce_by_hand(
    llama: Path, temperature: float, kl_weight: float, end_to_end: bool
) -> None:
    method = rft(adapter=FullWeights(), temperature=temperature, kl_weight=kl_weight)
    policy = moved(llama).train()
    learner = learner_of(llama, policy, method, end_to_end=end_to_end)
    base = load.load_base(llama)
    start = {name: value.detach().clone() for name, value in base.named_parameters()}
    object.__setattr__(learner, "start", start if kl_weight else {})
    found = learner.loss(GROUPS)
    gradient = gradient_of(policy, found.total)

    twin = moved(llama)
    total = torch.zeros((), dtype=torch.float64)
    for row in GROUPS:
        mean = sum(row.rewards) / len(row.rewards)
        ours, theirs = log_probs(twin, row, temperature), log_probs(base, row, temperature)
        for reward, each, reference in zip(row.rewards, ours, theirs, strict=True):
            total = total - (reward - mean) * each.sum()
            ratio = (reference.detach() - each).exp()
            total = total + kl_weight * (ratio - ratio.log() - 1).sum()
    assert float(found.total.detach()) == pytest.approx(float(total.detach()), rel=1e-5, abs=1e-5)
    torch.testing.assert_close(gradient, gradient_of(twin, total), rtol=1e-3, atol=1e-5)


def test_what_is_cut_into_passes_adds_up_to_the_whole(llama: Path) -> None:
    whole = moved(llama).train()
    cut = moved(llama).train()
    once = learner_of(llama, whole, rft(adapter=FullWeights())).loss(GROUPS)
    by_row = learner_of(llama, cut, rft(adapter=FullWeights()))
    parts = [by_row.loss([row]) for row in GROUPS]
    torch.testing.assert_close(sum(part.total for part in parts), once.total)
    for name, value in once.metrics.items():
        assert float(sum(part.metrics.get(name, 0.0) for part in parts)) == pytest.approx(
            float(value), abs=1e-4
        )
    added = torch.stack([part.total for part in parts]).sum()
    first, second = gradient_of(whole, once.total), gradient_of(cut, added)
    torch.testing.assert_close(first, second, rtol=1e-4, atol=1e-6)


def test_a_step_is_divided_by_the_tokens_of_all_answers_and_an_evaluation_by_the_questions(
    llama: Path,
) -> None:
    objective = Reinforcing.of(rft(), texts(llama), prompts(), nothing)
    learner = learner_of(llama, load.load_base(llama).train(), rft())
    rows = [objective.row(example) for example in prompts(3)]
    drawn = learner.drawn(rows, ALL_TOGETHER)
    lengths = [[len(answer.ids) for answer in row.answers] for row in drawn]
    assert [row.weight for row in drawn] == [sum(each) for each in lengths]
    assert [len(each) for each in lengths] == [4, 4, 4]
    learner.model.module.eval()
    assert [row.weight for row in learner.drawn(rows, ALL_TOGETHER)] == [1.0, 1.0, 1.0]


def test_advantages_are_rewards_less_their_mean_and_exactly_zero_where_all_are_equal() -> None:
    assert GROUPS[0].advantages == pytest.approx((0.5, -0.5, 0.0))
    assert group(0, [0.1, 0.1, 0.1]).advantages == (0.0, 0.0, 0.0)  # 0.1 + 0.1 + 0.1 is not 0.3
    assert group(0, [0.0, 9.0]).advantages == (-4.5, 4.5)


# --- runs -----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def vivid(llama: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny model with larger embeddings, so that what layers do is seen in the logits."""
    path = tmp_path_factory.mktemp("vivid") / "llama"
    shutil.copytree(llama, path)
    model = load.load_base(llama)
    with torch.no_grad():
        model.get_input_embeddings().weight *= 15
    model.save_pretrained(path)
    return path


def rewards(run: Any) -> list[float]:
    return [event.metrics["reward"] for event in events(run, "step")]


@pytest.mark.parametrize(
    "adapter", [LORA, FullWeights(), LastLayers(layers=1)], ids=["lora", "full", "last layer"]
)
def test_the_reward_rises(make_run: MakeRun, vivid: Path, adapter: Any) -> None:
    run = make_run(
        prompts(),
        model=vivid,
        method=rft(adapter=adapter, group_size=8, max_tokens=8),
        epochs=10,
        batch_size=4,
        learning_rate=2e-2,
        validation=prompts(2),
    )
    result = train(run)
    assert result is not None and result.state is JobState.SUCCEEDED, result
    found = rewards(run)
    assert sum(found[-4:]) / 4 > sum(found[:4]) / 4 + 0.2
    held_out = [event.metrics for event in events(run, "evaluated")]
    assert held_out[-1]["reward"] > 0.5 and held_out[-1]["loss"] == -held_out[-1]["reward"]
    gaps = [event.metrics.get("draw_mismatch", 0.0) for event in events(run, "step")]
    assert max(gaps) < 1e-3
    request = {"prompt": prompts(1)[0].messages}
    answer = generate.generate(load.load(run.artifact_path), [request], Sampling(max_tokens=8))[0]["text"]
    assert sum("a" <= letter <= "m" for letter in answer) / 8 > 0.5


def test_the_same_seed_gives_the_same_bytes_and_another_gives_others(make_run: MakeRun) -> None:
    runs = [
        make_run(prompts(), name=name, method=rft(), seed=seed)
        for name, seed in [("a", 7), ("b", 7), ("c", 8)]
    ]
    for run in runs:
        train(run)
    first, again, other = (artifact_bytes(run) for run in runs)
    assert first == again != other


def test_a_resumed_run_is_the_uninterrupted_one_bit_for_bit(make_run: MakeRun) -> None:
    method = rft(adapter=LoRA(rank=4, dropout=0.2), kl_weight=0.1)
    whole = make_run(prompts(), name="whole", method=method, epochs=3)
    train(whole)
    broken = make_run(prompts(), name="broken", method=method, epochs=3)
    assert train(broken, stop_after=1) is None
    assert train(broken, stop_after=4) is None
    assert train(broken) is not None
    assert artifact_bytes(broken) == artifact_bytes(whole)
    assert losses(broken) == losses(whole)


def test_accumulated_passes_train_as_one_does(make_run: MakeRun) -> None:
    whole = make_run(prompts(), name="whole", method=rft(), epochs=3)
    cut = make_run(prompts(), name="cut", method=rft(), epochs=3, micro_batch_size=1)
    train(whole)
    train(cut)
    assert losses(cut) == pytest.approx(losses(whole), abs=1e-4)
    assert rewards(cut) == pytest.approx(rewards(whole))


@pytest.mark.parametrize(
    "adapter", [LORA, LoRA(rank=4, init="pissa"), FullWeights()], ids=["lora", "pissa", "full"]
)
def test_the_distance_is_zero_at_the_start_and_grows(make_run: MakeRun, adapter: Any) -> None:
    run = make_run(prompts(), method=rft(adapter=adapter, kl_weight=0.01), epochs=3)
    train(run)
    found = [event.metrics["kl"] for event in events(run, "step")]
    assert found[0] == pytest.approx(0.0, abs=1e-9)
    assert found[-1] > 1e-6


def test_an_encoder_decoder_learns(make_run: MakeRun, tmp_path: Path) -> None:
    run = make_run(
        prompts(),
        model=make_tiny_t5(tmp_path / "t5", dropout=0.0),
        method=rft(adapter=FullWeights(), group_size=8, max_tokens=8),
        epochs=10,
        learning_rate=1e-2,
    )
    result = train(run)
    assert result is not None and result.state is JobState.SUCCEEDED, result
    found = rewards(run)
    assert sum(found[-4:]) > sum(found[:4])


# --- before there are weights ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "error", "message"),
    [
        ({"grader": {**RIGHT, "operation": "is"}}, SpecError, "operation is 'is'"),
        (
            {"grader": {**RIGHT, "reference": "{{item.other}}"}},
            DataError,
            "row 'row-0': .*item has no 'other'",
        ),
        (
            {"grader": {"type": "score_model", "model": "m", "input": [{"role": "user", "content": "x"}]}},
            UnsupportedError,
            "needs a judge",
        ),
        ({"max_tokens": 250}, DataError, "longer than 256 tokens"),
    ],
)
def test_what_cannot_work_is_said_before_the_first_step(
    make_run: MakeRun, fields: dict[str, Any], error: type[Exception], message: str
) -> None:
    run = make_run(prompts(), method=rft(**fields))
    with pytest.raises(error, match=message):
        train(run)
    assert events(run, "step") == []


def test_other_examples_are_refused(llama: Path) -> None:
    objective = Reinforcing.of(rft(), texts(llama), prompts(), nothing)
    with pytest.raises(DataError, match="no prompt to be answered"):
        objective.row(CompletionExample(id="x", prompt="a", completion="b"))


def test_the_item_is_the_row(llama: Path) -> None:
    row = Reinforcing.of(rft(), texts(llama), prompts(), nothing).row(prompts(1, answer={"deep": [1]})[0])
    assert row.item == {"messages": [{"role": "user", "content": "ask 0"}], "answer": {"deep": [1]}}


def test_a_prompt_that_is_too_long_loses_its_beginning_if_that_was_asked_for(make_run: MakeRun) -> None:
    long = PromptExample(
        id="long", messages=(Message(role="user", content="far " * 100),), reference={"answer": "4"}
    )
    run = make_run([*prompts(4), long], method=rft(), epochs=1, too_long="truncate_prompt")
    result = train(run)
    assert result is not None and result.state is JobState.SUCCEEDED
