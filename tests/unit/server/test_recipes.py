"""What a job's words become: a recipe over the host's, and numbers in place of "auto" once they are known."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tests.unit.server.hosting import Host, Serve
from tunekit import DPO, SFT, FineTuneJob, LoRA, Preflight, Settings, TuneSpec
from tunekit.server import Served
from tunekit.testing import ScriptedBackend
from tunekit.testing.scripted import training_script


async def test_the_recipe_is_the_hosts_with_the_requests_words_over_it(
    serve: Serve, settings: Settings
) -> None:
    spec = TuneSpec(method=SFT(adapter=LoRA(rank=4)), max_length=128, epochs=9, learning_rate=1e-3)
    host = serve(models={"base": Served(target="scripted:base", spec=spec)})
    parameters = {"n_epochs": 2, "batch_size": 8, "learning_rate_multiplier": 0.5}
    method = {"type": "supervised", "supervised": {"hyperparameters": parameters}}
    job = await host.ended(await host.create(method=method, suffix="s", seed=5))
    assert job["hyperparameters"] == parameters
    (run,) = await FineTuneJob.list_async(settings=settings, backend=host.backend)
    wanted = {"epochs": 2.0, "batch_size": 8, "learning_rate": 5e-4, "seed": 5, "name": "s"}
    assert run.spec == spec.model_copy(update=wanted)


MULTIPLIED = {"type": "supervised", "supervised": {"hyperparameters": {"learning_rate_multiplier": 2.0}}}


async def test_the_numbers_that_were_used_are_shown_in_place_of_auto(serve: Serve) -> None:
    found = Preflight(
        id="0", at=0.0, report={"epochs": 3.0, "batch_size": 4, "steps": 9, "learning_rate": 1e-4}
    )
    host = serve(ScriptedBackend(script=[found, *training_script()]))
    created = await host.create(hyperparameters={"batch_size": 8})
    job = await host.ended(created)
    used = {"n_epochs": 3, "batch_size": 8, "learning_rate_multiplier": 1}
    assert (job["hyperparameters"], job["method"]["supervised"]["hyperparameters"]) == (used, used)
    assert created["hyperparameters"] == {**used, "n_epochs": "auto", "learning_rate_multiplier": "auto"}


async def test_what_a_backend_does_not_tell_stays_auto(serve: Serve) -> None:
    found = Preflight(id="0", at=0.0, report={"epochs": 0.5, "batch_size": "?"})
    host = serve(ScriptedBackend(script=[found, *training_script()]))
    job = await host.ended(await host.create())
    assert (job["hyperparameters"]["n_epochs"], job["hyperparameters"]["batch_size"]) == ("auto", "auto")


async def test_an_automatic_rate_is_multiplied_by_its_backend(serve: Serve, settings: Settings) -> None:
    backend = ScriptedBackend()
    options = backend.capabilities.options | {"learning_rate_multiplier"}
    backend.__dict__["capabilities"] = replace(backend.capabilities, options=options)
    host = serve(backend)
    await host.ended(await host.create(method=MULTIPLIED))
    (run,) = await FineTuneJob.list_async(settings=settings, backend=backend)
    assert run.spec is not None
    assert (run.spec.learning_rate, run.spec.options) == ("auto", {"learning_rate_multiplier": 2.0})


@pytest.mark.parametrize("rate", ["auto", "range-test"])
async def test_a_rate_that_nobody_can_multiply_is_refused(serve: Serve, rate: Any) -> None:
    host = serve(models={"base": Served(target="scripted:base", spec=TuneSpec(learning_rate=rate))})
    body = {"model": "base", "training_file": (await host.upload())["id"], "method": MULTIPLIED}
    answer = await host.caller.post("/fine_tuning/jobs", json=body)
    host.refused(answer, 400, "method.supervised.hyperparameters.learning_rate_multiplier")


async def test_a_multiplier_of_1_is_what_any_backend_does(host: Host, settings: Settings) -> None:
    await host.ended(await host.create(hyperparameters={"learning_rate_multiplier": 1}))
    (run,) = await FineTuneJob.list_async(settings=settings, backend=host.backend)
    assert run.spec is not None
    assert (run.spec.learning_rate, run.spec.options) == ("auto", {})


async def test_dpo_keeps_the_hosts_adapter(serve: Serve, settings: Settings) -> None:
    spec = TuneSpec(method=SFT(adapter=LoRA(rank=4)))
    host = serve(models={"base": Served(target="scripted:base", spec=spec)})
    line = (
        b'{"input": {"messages": [{"role": "user", "content": "hi"}]},'
        b' "preferred_output": [{"role": "assistant", "content": "a"}],'
        b' "non_preferred_output": [{"role": "assistant", "content": "b"}]}\n'
    )
    file = (await host.upload(line * 3))["id"]
    method = {"type": "dpo", "dpo": {"hyperparameters": {"beta": 0.5}}}
    job = await host.ended(await host.create(training_file=file, method=method))
    assert job["method"]["dpo"]["hyperparameters"]["beta"] == 0.5
    (run,) = await FineTuneJob.list_async(settings=settings, backend=host.backend)
    assert run.spec is not None
    assert run.spec.method == DPO(adapter=LoRA(rank=4), beta=0.5)
