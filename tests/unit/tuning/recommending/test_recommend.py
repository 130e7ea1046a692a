"""What a user gets from `recommend`: the choice, why, what is only estimated, and nothing paid for twice."""

from __future__ import annotations

import asyncio
import signal
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import tunekit as tk
from tests.processes import start_python
from tests.unit.tuning.recommending.pupil import Pupil, questions, tickets
from tunekit.errors import NotFoundError, SpecError
from tunekit.store import MemoryStore, SqliteStore
from tunekit.tuning import Recommendation, recommend, recommend_async
from tunekit.tuning.recommending import Stage
from tunekit.tuning.recommending.task import parted

ROOT = Path(__file__).resolve().parents[4]
PROBE_WINS = {"zero-shot": 0.5, "few-shot": 0.6, "probe@80": 0.8, "probe@160": 0.88, "probe": 0.92}


@pytest.fixture
def settings(tmp_path: Path) -> tk.Settings:
    return tk.Settings(home=tmp_path / "home")


def asked(
    backend: Pupil, settings: tk.Settings, data: tk.Dataset | None = None, **options: Any
) -> Recommendation:
    given = {"store": MemoryStore(), **options}
    return recommend(data or tickets(), "scripted:base", backend=backend, settings=settings, **given)


def test_the_probe_is_chosen_where_it_is_best_and_its_spec_trains(
    tmp_path: Path, settings: tk.Settings
) -> None:
    backend = Pupil(tmp_path, PROBE_WINS)
    found = asked(backend, settings)
    assert found.method == "probe" and found.spec is not None and found.spec.method.type == "probe"
    assert [found[name].basis for name in ("zero-shot", "few-shot", "probe")] == ["measured"] * 3
    assert found["probe"].quality is not None and found["probe"].quality.estimate > 0.85
    assert found.n_dev == 100 and found.n_train == 300 and found.classes == 4
    assert backend.counters.jobs == 3 and found.cost_usd == pytest.approx(0.075 + 0.15 + 0.3)
    store = MemoryStore()
    job = tk.FineTuneJob.submit(tickets(), "scripted:base", found.spec, backend=backend, store=store)
    assert job.result()


def test_it_is_a_value_and_prints_its_reasons(tmp_path: Path, settings: tk.Settings) -> None:
    found = asked(Pupil(tmp_path, PROBE_WINS), settings, price=tk.CallPrice(usd_per_call=0.001))
    assert Recommendation.from_json(found.to_json()) == found
    text = str(found)
    assert text.startswith(f"probe: {found.verdict}\n") and "train a probe" in found.verdict
    (row,) = [line for line in text.splitlines() if line.startswith("probe *")]
    assert "$1.00" in row and "$0.30" in row and row.endswith("measured")
    (row,) = [line for line in text.splitlines() if line.startswith("majority ")]
    assert "25.0 %" in row
    assert "- from 150 to 300 rows the probe gains " in text
    with pytest.raises(NotFoundError, match="no technique 'lora'"):
        found["lora"]


def test_an_estimate_is_called_one_and_is_no_interval(tmp_path: Path, settings: tk.Settings) -> None:
    found = asked(Pupil(tmp_path, PROBE_WINS), settings)
    for name in ("adapter", "full"):
        option = found[name]
        assert option.basis == "estimated" and option.quality is None and not option.is_measured
        assert option.estimate is not None and found["probe"].quality is not None
        assert option.estimate.low < found["probe"].quality.estimate < option.estimate.high < 1
        (row,) = [line for line in str(found).splitlines() if line.startswith(f"{name} ")]
        assert "about " in row and "estimated: it was not asked for" in row and "[" not in row
    said = "adapter and full were not measured; in 16 published pairs, training took away -3 % to 52 % of a probe's"
    assert any(reason.startswith(said) for reason in found.reasons)


def test_a_model_that_knows_all_is_not_trained(tmp_path: Path, settings: tk.Settings) -> None:
    found = asked(Pupil(tmp_path, dict.fromkeys(("zero-shot", "few-shot", "probe"), 1.0)), settings)
    assert (found.method, found.confidence, found.spec) == ("zero-shot", "settled", None)


def test_what_trains_least_is_chosen_among_equals_and_that_is_said(
    tmp_path: Path, settings: tk.Settings
) -> None:
    found = asked(Pupil(tmp_path, {"zero-shot": 0.5, "few-shot": 0.82, "probe": 0.83}), settings, seed=1)
    assert found.method == "few-shot" and found.spec is None and found.confidence != "settled"
    probe = found["probe"]
    if probe.quality != found["few-shot"].quality:
        assert "these items cannot tell few-shot from probe: that is inconclusive" in found.reasons


def test_where_nothing_beats_the_commonest_class_it_says_so(tmp_path: Path, settings: tk.Settings) -> None:
    found = asked(Pupil(tmp_path, {"zero-shot": 0.25, "few-shot": 0.25, "probe": 0.25}), settings)
    assert found.confidence == "open" and "nothing that was measured is shown to be better" in found.verdict


def test_a_budget_trains_the_adapter_where_the_rest_leaves_it_open(
    tmp_path: Path, settings: tk.Settings
) -> None:
    knows = {"zero-shot": 0.3, "few-shot": 0.4, "probe": 0.6, "adapter": 0.95}
    thrifty = Pupil(tmp_path / "a", knows)
    without = asked(thrifty, settings)
    assert (without.method, without.confidence, thrifty.counters.jobs) == ("probe", "open", 3)
    (step,) = [step for step in without.next_steps if step.startswith("measure ")]
    assert "measure=('zero-shot', 'few-shot', 'probe', 'adapter', 'full')" in step
    backend = Pupil(tmp_path / "b", knows)
    found = asked(backend, settings, budget=tk.Budget(max_usd=5))
    assert found.method == "adapter" and found["adapter"].basis == "measured" and backend.counters.jobs == 4
    assert found.spec is not None and found.spec.method == tk.Classify(adapter=tk.LoRA())
    assert any("with 300 rows adapter is +" in reason for reason in found.reasons)
    assert found["full"].basis == "estimated"


def test_the_dear_ones_are_measured_where_they_are_named(tmp_path: Path, settings: tk.Settings) -> None:
    knows = {**PROBE_WINS, "adapter": 0.7, "full": 0.75}
    found = asked(Pupil(tmp_path, knows), settings, measure=["probe", "adapter", "full"], small_rows=160)
    assert found.method == "probe" and found["zero-shot"].basis == "unknown"
    adapter = found["adapter"]
    assert (adapter.rows, adapter.basis, adapter.why) == (150, "measured", "with 150 of 300 rows")
    # One dollar for a thousand rows, of which 150 were trained on.
    assert adapter.is_training_estimated and adapter.training_usd == pytest.approx(0.3)


def test_a_budget_is_kept_and_what_it_leaves_out_is_told(tmp_path: Path, settings: tk.Settings) -> None:
    backend = Pupil(tmp_path, PROBE_WINS)
    found = asked(backend, settings, budget=tk.Budget(max_usd=0.3), measure=["zero-shot", "probe", "full"])
    assert backend.counters.jobs == 2 and found.cost_usd is not None and found.cost_usd <= 0.3
    assert "budget.max_usd is 0.3" in found["full"].why and found["full"].quality is None
    assert found["probe"].rows == 150


def test_answers_of_untrained_models_stay_within_the_budget(tmp_path: Path, settings: tk.Settings) -> None:
    backend = Pupil(tmp_path, PROBE_WINS)
    options: dict[str, Any] = {"price": tk.CallPrice(usd_per_call=0.01), "measure": ["zero-shot", "few-shot"]}
    found = asked(backend, settings, budget=tk.Budget(max_usd=1.5), **options)
    assert found["zero-shot"].is_measured and not found["few-shot"].is_measured
    assert (backend.asked <= 150 and "1.5" in str(found["few-shot"].why) + found.verdict) or found[
        "few-shot"
    ].why


def test_a_hosted_target_has_no_probe_and_says_so(tmp_path: Path, settings: tk.Settings) -> None:
    backend = Pupil(tmp_path, {**PROBE_WINS, "adapter": 0.9}, methods=frozenset({"sft"}))
    found = asked(backend, settings, budget=tk.Budget(max_usd=9))
    assert found["probe"].basis == "not possible" and "frozen features" in found["probe"].why
    assert any(reason.startswith("no probe: ") for reason in found.reasons)
    assert found.method == "adapter" and found.spec == tk.TuneSpec(method=tk.SFT(), epochs="auto")
    assert set(backend.kinds) == {frozenset({"completion"})}


def test_a_service_that_decides_how_it_tunes_is_not_paid_twice(tmp_path: Path, settings: tk.Settings) -> None:
    backend = Pupil(tmp_path, {**PROBE_WINS, "adapter": 0.9}, methods=frozenset({"sft"}))
    backend.__dict__["capabilities"] = replace(backend.capabilities, chooses_adapter=True)
    found = asked(backend, settings, measure=("adapter", "full"))
    assert found["adapter"].is_measured and found["full"].basis == "not possible"
    assert "the same job as the adapter" in found["full"].why and backend.counters.jobs == 1


@pytest.mark.parametrize("kind", ["completion", "chat"])
def test_pairs_that_name_classes_are_classes_and_prepare_makes_them_fit_the_spec(
    tmp_path: Path, settings: tk.Settings, kind: str
) -> None:
    data = (
        tickets().to_completion() if kind == "completion" else tickets().to_chat(system="Route the ticket.")
    )
    backend = Pupil(tmp_path, PROBE_WINS)
    found = asked(backend, settings, data)
    assert found.task == "classification" and found.method == "probe" and found.spec is not None
    assert any("system message" in text for text in found.warnings) == (kind == "chat")
    assert any("found.prepare(data)" in step for step in found.next_steps)
    rows = found.prepare(data)
    assert rows.fingerprint() == tickets().fingerprint()
    job = tk.FineTuneJob.submit(rows, "scripted:base", found.spec, backend=backend, store=MemoryStore())
    assert job.result()


def test_chats_with_instructions_of_their_own_are_not_stripped_of_them() -> None:
    one, other = (tickets(40, name=name).to_chat(system=f"Route the {name}.") for name in ("case", "call"))
    assert parted(one, test=None, dev=None, seed=0).kind == "classification"
    assert parted(tk.Dataset([*one, *other]), test=None, dev=None, seed=0).kind == "generation"


def test_a_recommendation_to_train_nothing_prepares_nothing(tmp_path: Path, settings: tk.Settings) -> None:
    found = asked(Pupil(tmp_path, {"zero-shot": 1.0}), settings, measure=("zero-shot",))
    with pytest.raises(SpecError, match="zero-shot trains nothing"):
        found.prepare(tickets())


def test_text_is_weighed_by_bits_and_an_adapter_decides(tmp_path: Path, settings: tk.Settings) -> None:
    knows = {"zero-shot": 0.2, "few-shot": 0.3, "adapter": 0.8}
    cheap = asked(Pupil(tmp_path / "a", knows, weighs=True), settings, questions())
    assert (cheap.task, cheap.metric, cheap.higher_is_better, cheap.majority) == (
        "generation", "bits_per_byte", False, None,
    )  # fmt: skip
    assert (cheap.method, cheap.confidence, cheap["adapter"].basis) == ("few-shot", "open", "unknown")
    assert cheap["probe"].basis == "not possible" and "%" not in str(cheap["few-shot"].quality)
    found = asked(
        Pupil(tmp_path / "b", knows, weighs=True), settings, questions(), budget=tk.Budget(max_usd=9)
    )
    assert found.method == "adapter" and found.spec is not None and found.spec.method == tk.SFT()
    behind = found["zero-shot"].behind
    assert behind is not None and behind.estimate > 0 and "bits_per_byte" in str(found)
    assert Recommendation.from_json(found.to_json()) == found


def test_called_again_it_pays_for_nothing_and_says_the_same(tmp_path: Path, settings: tk.Settings) -> None:
    backend, store = Pupil(tmp_path, PROBE_WINS), MemoryStore()
    first = asked(backend, settings, store=store)
    jobs, questions_asked = backend.counters.jobs, backend.asked
    again = asked(backend, settings, store=store)
    assert (backend.counters.jobs, backend.asked) == (jobs, questions_asked)
    timeless = [
        tuple(each.model_copy(update={"seconds_per_1000_calls": None}) for each in found.options)
        for found in (first, again)
    ]
    assert timeless[0] == timeless[1] and (first.method, first.verdict) == (again.method, again.verdict)


def test_the_test_is_never_asked_and_its_rows_are_left_out(tmp_path: Path, settings: tk.Settings) -> None:
    seen: list[str] = []

    class Watched(Pupil):
        async def generate(self, model: str, requests: Any, sampling: Any) -> Any:
            seen.extend(str(request.prompt) for request in requests)
            return await super().generate(model, requests, sampling)

    data = tickets()
    found = asked(Watched(tmp_path, PROBE_WINS), settings, data, test=data.head(60))
    asked_for = {prompt.removesuffix("\nClass:").rpartition("case ")[2] for prompt in seen}
    assert asked_for.isdisjoint(str(n) for n in range(60)) and len(asked_for) == found.n_dev
    assert found.n_train + found.n_dev == 340
    assert "60 rows were left out: your test asks the same" in found.warnings


def test_progress_is_told_and_a_callback_that_breaks_is_no_matter(
    tmp_path: Path, settings: tk.Settings
) -> None:
    told: list[Any] = []

    def tell(stage: Any) -> None:
        told.append(stage)
        raise RuntimeError("a host's bug")

    found = asked(Pupil(tmp_path, PROBE_WINS), settings, on_progress=tell)
    stages = [(each.technique, each.step) for each in told if isinstance(each, Stage)]
    assert stages[:3] == [("zero-shot", "asking"), ("zero-shot", "measured"), ("few-shot", "asking")]
    assert stages.count(("probe", "training")) == 3 and found.method == "probe"
    assert any(not isinstance(each, Stage) for each in told)


async def test_two_at_once_and_one_that_is_cancelled(tmp_path: Path, settings: tk.Settings) -> None:
    backend, store = Pupil(tmp_path, PROBE_WINS), MemoryStore()

    def once() -> Any:
        return recommend_async(tickets(), "scripted:base", backend=backend, store=store, settings=settings)

    first, second = await asyncio.gather(once(), once())
    assert first.method == second.method == "probe" and backend.counters.jobs == 3
    task = asyncio.create_task(once())
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert (await once()).method == "probe" and backend.counters.jobs == 3


RECOMMENDER = """
import os, signal, sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from tests.unit.tuning.recommending import test_recommend
from tests.unit.tuning.recommending.pupil import Pupil

home, when = Path(sys.argv[2]), int(sys.argv[3])
seen = 0

class Doomed(Pupil):
    async def generate(self, *arguments):
        global seen
        seen += 1
        if seen == when:
            os.kill(os.getpid(), signal.SIGKILL)
        return await super().generate(*arguments)

test_recommend.durable(home, Doomed(home, test_recommend.PROBE_WINS, events_per_poll=1))
"""


def durable(home: Path, backend: Pupil) -> Recommendation:
    settings, store = tk.Settings(home=home / "home"), SqliteStore(home / "store.sqlite3")
    return asked(backend, settings, store=store)


@pytest.mark.parametrize("when", [1, 150, 290, 420])
def test_killed_and_called_again_it_pays_for_nothing_twice(tmp_path: Path, when: int) -> None:
    with start_python(RECOMMENDER, ROOT, tmp_path, when) as child:
        out, errors = child.communicate(timeout=60)
    assert (child.returncode, out, errors) == (-signal.SIGKILL, "", "")
    backend = Pupil(tmp_path, PROBE_WINS, events_per_poll=1)
    found = durable(tmp_path, backend)
    assert backend.counters.jobs == 3 == len(set(backend.keys))
    # Five hundred questions in all, of which only those on their way at the kill are asked twice.
    assert backend.asked <= 500 - (when - 1) + 8
    control = durable(tmp_path / "control", Pupil(tmp_path / "control", PROBE_WINS))
    assert (found.method, found.verdict) == (control.method, control.verdict)


def unpaired() -> tk.Dataset:
    turn = tk.Message(role="user", content="2+2?")
    return tk.Dataset([tk.UnpairedExample(messages=(turn,), completion="4", desirable=True)] * 30)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"measure": []}, "measure is empty"),
        ({"measure": ["lora"]}, "a technique of measure is 'lora'"),
        ({"measure": "probe"}, "measure is 'probe'"),
        ({"seed": -1}, "seed is -1"),
        ({"margin": -0.1}, "margin is -0.1"),
        ({"shots": 0}, "shots is 0"),
        ({"small_rows": 0}, "small_rows is 0"),
        ({"data": tickets(12)}, "12 rows to measure on"),
        ({"data": unpaired()}, "unpaired examples"),
        ({"data": tk.Dataset([tk.LabelledExample(text="a", label=("b", "c"))] * 30)}, "several labels"),
    ],
)
def test_wrong_arguments_are_refused_before_anything_is_sent(
    tmp_path: Path, settings: tk.Settings, options: dict[str, Any], message: str
) -> None:
    backend = Pupil(tmp_path, PROBE_WINS)
    with pytest.raises(SpecError) as caught:
        asked(backend, settings, **options)
    assert message in caught.value.message and caught.value.hint and backend.asked == 0
