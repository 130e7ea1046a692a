"""The local backend with nothing replaced: a real trainer, a real worker, a tiny model."""

from __future__ import annotations

import asyncio
import dataclasses
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import pytest

from tests.kill.harness import DATA, make_model
from tests.processes import eventually, is_running, run_python
from tunekit import (
    RFT,
    SFT,
    Classify,
    CompletionExample,
    FineTuneJob,
    JobFailedError,
    JobState,
    LoRA,
    Message,
    ModelRef,
    NotFoundError,
    PreflightError,
    Sampling,
    Settings,
    SpecError,
    TuneSpec,
    generate,
)
from tunekit.backends.base import GenerateRequest, Generation, ScoreRequest, SubmitRequest
from tunekit.backends.local import LocalBackend, models
from tunekit.errors import ModelError, UnsupportedError
from tunekit.inference import stream
from tunekit.training.run.rundir import RunDirectory, RunResult

pytestmark = pytest.mark.timeout(300)  # interpreters that import torch, on machines that have other work too

SPEC = TuneSpec(method=SFT(adapter=LoRA(rank=2)), epochs=1, learning_rate=1e-2, batch_size=4)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_model(tmp_path_factory.mktemp("model") / "tiny")


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    return Settings(home=tmp_path_factory.mktemp("home"))


@pytest.fixture(scope="module")
def backend(settings: Settings) -> Iterator[LocalBackend]:
    backend = LocalBackend(settings=settings, threads=1)
    yield backend
    asyncio.run(backend.aclose())


@pytest.fixture(scope="module")
def tuned(model: Path, backend: LocalBackend, settings: Settings) -> ModelRef:
    job = FineTuneJob.submit(DATA, f"local:{model}", SPEC, backend=backend, settings=settings)
    return job.result(timeout_s=250)


def request(model: str, key: str, spec: TuneSpec = SPEC) -> SubmitRequest:
    return SubmitRequest(model=model, spec=spec, train=DATA, idempotency_key=key)


# --- inference ----------------------------------------------------------------------------------------


async def test_base_and_tuned_models_answer_from_one_worker(
    model: Path, tuned: ModelRef, backend: LocalBackend
) -> None:
    asked = [
        GenerateRequest(prompt="question 3"),
        GenerateRequest(prompt=(Message(role="user", content="q"),)),
    ]
    for name in (str(model), tuned.id):
        answers = await backend.generate(name, asked, Sampling(max_tokens=4))
        assert len(answers) == 2
        assert all(answer.finish_reason in ("stop", "length") for answer in answers)
        assert all(answer.usage.input_tokens > 0 for answer in answers)
        assert all(answer.usage.output_tokens <= 4 for answer in answers)
        again = await backend.generate(name, asked, Sampling(max_tokens=4))
        assert [answer.text for answer in again] == [answer.text for answer in answers]


async def test_scores_are_log_probabilities_that_training_has_moved(
    model: Path, tuned: ModelRef, backend: LocalBackend
) -> None:
    rows = [row for row in DATA.head(3) if isinstance(row, CompletionExample)]
    asked = [ScoreRequest(prompt=row.prompt, choices=(str(row.completion), "zebra")) for row in rows]
    before, after = await backend.score(str(model), asked), await backend.score(tuned.id, asked)
    for old, new in zip(before, after, strict=True):
        assert old.tokens == new.tokens
        assert all(value < 0 for value in (*old.log_probs, *new.log_probs))
        assert new.log_probs[0] > old.log_probs[0]


def test_the_public_generate_takes_what_result_returned(tuned: ModelRef, backend: LocalBackend) -> None:
    answer = generate(tuned, "question 3", sampling=Sampling(max_tokens=2), backend=backend)
    assert answer.usage.output_tokens <= 2


async def test_an_error_in_the_worker_arrives_typed(
    tmp_path: Path, model: Path, backend: LocalBackend
) -> None:
    broken = shutil.copytree(model, tmp_path / "broken")
    (broken / "model.safetensors").write_bytes(b"\0" * 64)
    with pytest.raises(ModelError, match="broken"):
        await backend.generate(str(broken), [GenerateRequest(prompt="x")], Sampling())


async def test_a_cancelled_call_stops_computing_and_the_next_one_is_served(
    model: Path, backend: LocalBackend
) -> None:
    endless = [GenerateRequest(prompt="x" * 50)] * 64
    call = asyncio.create_task(
        backend.generate(str(model), endless, Sampling(max_tokens=200, temperature=1.0))
    )
    link = backend._worker._link()
    await asyncio.to_thread(eventually, lambda: link.serving)
    child = link.child
    assert child is not None
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    await asyncio.to_thread(eventually, lambda: not is_running(child.pid))
    (answer,) = await backend.generate(str(model), [GenerateRequest(prompt="x")], Sampling(max_tokens=1))
    assert answer.usage.output_tokens <= 1


async def test_an_answer_in_pieces_is_the_answer(model: Path, backend: LocalBackend) -> None:
    asked, sampling = GenerateRequest(prompt="x", seed=4), Sampling(max_tokens=30, temperature=1.0)
    (whole,) = await backend.generate(str(model), [asked], sampling)
    *pieces, answer = [piece async for piece in backend.stream(str(model), asked, sampling)]
    assert "".join(map(str, pieces)) == whole.text
    assert isinstance(answer, Generation)
    assert answer == dataclasses.replace(whole, usage=answer.usage)  # but for the seconds


def test_an_answer_left_in_the_middle_leaves_the_worker_for_the_next(
    model: Path, backend: LocalBackend
) -> None:
    endless = Sampling(max_tokens=200, temperature=1.0, seed=5)
    with stream(f"local:{model}", "x", sampling=endless, backend=backend) as pieces:
        first = next(pieces)
    child = backend._worker._link().child
    assert child is not None
    answer = generate(f"local:{model}", "x", sampling=endless, backend=backend)
    assert answer.text.startswith(first)
    assert is_running(child.pid)
    assert pieces.answer is None


# --- the life of a run --------------------------------------------------------------------------------


async def test_a_key_is_submitted_once_and_found(
    model: Path, tuned: ModelRef, backend: LocalBackend, settings: Settings
) -> None:
    assert await backend.find(tuned.id) == tuned.id
    assert await backend.find("never submitted") is None
    before = (settings.runs / tuned.id / "launches.jsonl").read_bytes()
    assert await backend.submit(request(str(model), tuned.id)) == tuned.id
    assert (settings.runs / tuned.id / "launches.jsonl").read_bytes() == before


async def test_a_finished_run_says_what_it_used_and_cannot_be_cancelled(
    tuned: ModelRef, backend: LocalBackend, settings: Settings
) -> None:
    await backend.cancel(tuned.id)
    seen = await backend.snapshot(tuned.id)
    assert seen.state is JobState.SUCCEEDED
    assert seen.model == tuned.id
    assert seen.usage is not None
    assert seen.usage.trained_tokens > 0
    assert not (settings.runs / tuned.id / "cancel").exists()


async def test_the_artifact_of_a_job_is_where_it_lies(
    tuned: ModelRef, backend: LocalBackend, settings: Settings
) -> None:
    artifact = Path(await backend.artifact(tuned.id))
    assert artifact.is_absolute()
    assert (artifact / "adapter_model.safetensors").is_file()
    job = await FineTuneJob.attach_async(f"local:{tuned.id}", backend=backend, settings=settings)
    assert await job.artifact_async() == str(artifact)


async def test_a_failure_keeps_its_code_and_details(
    tuned: ModelRef, backend: LocalBackend, settings: Settings
) -> None:
    run = RunDirectory(settings.runs / "run-0123456789abcdef0123")
    shutil.copytree(settings.runs / tuned.id, run.path)
    failed = RunResult(state=JobState.FAILED, code="invalid-data", message="bad", details={"rows": [3]})
    run.result_path.write_text(failed.model_dump_json())
    failure = (await backend.snapshot(run.path.name)).failure
    assert failure is not None
    assert (failure.code, failure.details) == ("invalid-data", {"rows": [3]})


async def test_tools_weigh_in_when_choices_are_scored(model: Path, backend: LocalBackend) -> None:
    chat = (Message(role="user", content="weather?"),)
    tool = {"type": "function", "function": {"name": "weather", "parameters": {}}}
    bodies: list[object] = []

    class Listening(LocalBackend):
        async def _call(self, operation: str, model: str, **arguments: object) -> object:
            bodies.append(arguments["requests"])
            return [{"log_probs": [-1.0], "tokens": [1]}]

    asked = [ScoreRequest(prompt=chat, choices=("sun",), tools=(tool,))]
    await Listening(settings=Settings(home=model), threads=1).score(str(model), asked)
    assert bodies == [
        [{"prompt": [{"role": "user", "content": "weather?"}], "choices": ["sun"], "tools": [tool]}]
    ]


async def test_events_are_paged_by_cursor(tuned: ModelRef, backend: LocalBackend) -> None:
    page = await backend.events(tuned.id, None)
    assert [event.id for event in page.events] == [str(n) for n in range(1, len(page.events) + 1)]
    assert (await backend.events(tuned.id, page.cursor)).events == ()
    for cursor in ("x", "-1", "\N{SUPERSCRIPT TWO}", ""):
        with pytest.raises(SpecError, match="not a cursor"):
            await backend.events(tuned.id, cursor)


@pytest.mark.parametrize("job_id", ["run-" + "0" * 20, "../../etc", "x", ""])
async def test_an_unknown_run_is_not_found(backend: LocalBackend, job_id: str) -> None:
    for call in (backend.snapshot(job_id), backend.events(job_id, None), backend.cancel(job_id)):
        with pytest.raises(NotFoundError):
            await call


async def test_a_running_run_cannot_be_deleted_and_a_finished_one_goes_whole(
    model: Path, settings: Settings, backend: LocalBackend
) -> None:
    job_id = await backend.submit(request(str(model), "to be deleted"))
    with pytest.raises(SpecError, match="still going on"):
        await backend.delete_artifacts(job_id)
    await backend.cancel(job_id)
    await asyncio.to_thread(eventually, RunDirectory(settings.runs / job_id).result)
    await backend.delete_artifacts(job_id)
    assert not (settings.runs / job_id).exists()
    with pytest.raises(NotFoundError):
        await backend.snapshot(job_id)
    assert await backend.find("to be deleted") is None


# --- what cannot be trained ---------------------------------------------------------------------------


def test_a_hub_model_that_cannot_be_had_fails_quickly_with_a_word_about_it(
    backend: LocalBackend, settings: Settings
) -> None:
    job = FineTuneJob.submit(DATA, "local:nobody/no-such-model", SPEC, backend=backend, settings=settings)
    with pytest.raises(JobFailedError, match="'nobody/no-such-model' is neither a directory here") as caught:
        job.result(timeout_s=250)
    assert "check the spelling" in caught.value.hint
    starts = (settings.runs / job.ref.id / "launches.jsonl").read_text().count('"start"')
    assert starts == 1, "an error with a reason is not tried again"
    assert [item.run_id for item in FineTuneJob.list(settings=settings, states=[JobState.FAILED])] == [
        job.run_id
    ]


async def test_an_adapter_is_no_base_model(tuned: ModelRef, backend: LocalBackend) -> None:
    with pytest.raises(ModelError, match="is an adapter"):
        await backend.submit(request(tuned.id, "on top of an adapter"))
    assert await backend.find("on top of an adapter") is None


async def test_a_revision_must_be_a_string(model: Path, backend: LocalBackend) -> None:
    with pytest.raises(SpecError, match="revision"):
        await backend.submit(request(str(model), "revision", TuneSpec(options={"revision": 3})))


@pytest.mark.parametrize(
    ("value", "rate"), [(0, "auto"), (True, "auto"), ("2", "auto"), (-1.5, "auto"), (2, 1e-4)]
)
async def test_a_multiplier_is_a_positive_number_beside_an_automatic_rate(
    model: Path, backend: LocalBackend, value: object, rate: Literal["auto"] | float
) -> None:
    spec = TuneSpec(learning_rate=rate, options={"learning_rate_multiplier": value})
    with pytest.raises(SpecError, match="learning_rate_multiplier"):
        await backend.submit(request(str(model), "multiplied", spec))
    assert await backend.find("multiplied") is None


def test_a_method_that_it_does_not_have_is_refused_before_anything_is_written(
    model: Path, backend: LocalBackend, settings: Settings
) -> None:
    before = len(FineTuneJob.list(settings=settings))
    with pytest.raises(PreflightError, match="classify"):
        FineTuneJob.submit(
            DATA, f"local:{model}", TuneSpec(method=Classify()), backend=backend, settings=settings
        )
    assert len(FineTuneJob.list(settings=settings)) == before


@pytest.mark.parametrize("inside", [False, True], ids=["alone", "in a multi"])
async def test_a_grader_that_asks_a_model_is_refused_before_anything_is_written(
    model: Path, backend: LocalBackend, inside: bool
) -> None:
    judge = {
        "type": "score_model",
        "name": "judge",
        "model": "m",
        "input": [{"role": "user", "content": "{{sample.output_text}}"}],
    }
    multi = {"type": "multi", "name": "both", "graders": {"judge": judge}, "calculate_output": "judge"}
    spec = TuneSpec(method=RFT(grader=multi if inside else judge))
    with pytest.raises(UnsupportedError, match="a score_model grader needs a judge") as caught:
        await backend.submit(request(str(model), f"judge {inside}", spec))
    assert "RFT on this machine has none" in caught.value.hint
    assert await backend.find(f"judge {inside}") is None


@pytest.mark.parametrize("threads", [0, -1])
def test_threads_must_be_positive(threads: int) -> None:
    with pytest.raises(SpecError, match="threads"):
        LocalBackend(threads=threads)


async def test_the_identity_of_a_model_follows_its_files(tmp_path: Path, model: Path) -> None:
    backend = LocalBackend(settings=Settings(home=tmp_path))
    before = await backend.identify(str(model))
    copy = shutil.copytree(model, tmp_path / "copy")
    assert await backend.identify(str(copy)) == before
    (copy / "config.json").write_text(json.dumps({**json.loads((copy / "config.json").read_text()), "x": 1}))
    assert await backend.identify(str(copy)) != before
    assert models.identify(str(copy), {}) == await backend.identify(str(copy))


# --- a guest in the host ------------------------------------------------------------------------------

GUEST = """
import logging, os, random, signal, sys, threading, warnings

def host():
    os.umask(mask := os.umask(0o022))
    return {
        "environment": dict(os.environ),
        "directory": os.getcwd(),
        "umask": mask,
        "random": random.getstate(),
        "signals": [signal.getsignal(number) for number in sorted(signal.valid_signals())],
        "logging": (logging.getLogger().handlers[:], logging.getLogger().level),
        "warnings": warnings.filters[:],
        "excepthook": sys.excepthook,
    }

from tests.kill.harness import DATA
from tests.unit.backends.local.test_backend import SPEC
from tunekit import FineTuneJob, Sampling, generate
before = host()
model = FineTuneJob.submit(DATA, "local:" + sys.argv[1], SPEC).result(timeout_s=250)
generate(model, "question 1", sampling=Sampling(max_tokens=1))
after = host()
assert not [name for name in before if before[name] != after[name]], (before, after)
assert not {"torch", "transformers", "peft", "safetensors"} & set(sys.modules)
others = [thread for thread in threading.enumerate() if thread is not threading.main_thread()]
assert all(thread.daemon or thread.name.startswith("asyncio") for thread in others)
"""


def test_the_host_stays_as_it_was(model: Path) -> None:
    assert run_python(GUEST, model, timeout_s=250) == ""
