"""Every tuned model of an account with its base and its days; and no money into a base that is about to go."""

from __future__ import annotations

import json
import logging
from collections.abc import AsyncIterator
from datetime import date
from typing import Any

import pytest

from tunekit import Budget, FineTuneJob, TuneSpec
from tunekit.backends.openai import lifecycle
from tunekit.backends.openai.backend import OpenAIBackend
from tunekit.backends.openai.hosts import host_of
from tunekit.backends.openai.lifecycle import base_of_id, check_days, tuned_models
from tunekit.backends.openai.transport import Call, Reply
from tunekit.errors import BackendError, NotFoundError, PreflightError, SpecError
from tunekit.store import MemoryStore
from tunekit.testing import FakeClock, tiny_dataset

TODAY = date(2026, 11, 22)
OLD = "ft:gpt-9:acme::z"
MINI, TUNED = "gpt-4.1-mini-2025-04-14", "ft:gpt-4.1-mini-2025-04-14:acme:tickets:A1"


class Account:
    """A transport to an account that is held in memory; one job on each page."""

    def __init__(self, *, models: list[dict[str, Any]], jobs: list[dict[str, Any]] | None = None) -> None:
        self.models, self.jobs, self.calls = models, jobs or [], list[Call]()
        self.closed = ""  # to this key

    async def send(self, call: Call) -> Reply:
        self.calls.append(call)
        if self.closed and call.path.startswith(self.closed):
            raise BackendError("you may not list these", hint="ask for the right")
        return Reply(status=200, headers={}, body=json.dumps(self._answer(call)).encode())

    def _answer(self, call: Call) -> dict[str, Any]:
        if call.path == "/models":
            return {"object": "list", "data": self.models}
        if call.path.startswith("/models/"):
            name = call.path.removeprefix("/models/").replace("%3A", ":")
            for model in self.models:
                if model["id"] == name:
                    return model
            raise NotFoundError(f"no model {name}", hint="none")
        ids = [job["id"] for job in self.jobs]
        after = dict(call.query).get("after")
        start = ids.index(after) + 1 if after else 0
        return {"object": "list", "data": self.jobs[start : start + 1], "has_more": start + 1 < len(ids)}

    async def aclose(self) -> None:
        pass

    async def stream(self, call: Call) -> AsyncIterator[bytes]:
        yield (await self.send(call)).body


def model(name: str, shutdown: Any = None, **more: Any) -> dict[str, Any]:
    return {"id": name, "object": "model", "created": 1_790_000_000, "shutdown_date": shutdown} | more


def job(number: int, base: str, tuned: str | None) -> dict[str, Any]:
    return {
        "id": f"ftjob-{number}",
        "model": base,
        "fine_tuned_model": tuned,
        "created_at": 1_780_000_000 + number,
    }


async def found(account: Account, host: str = "openai") -> dict[str, lifecycle.TunedModel]:
    return {item.id: item for item in await tuned_models(account, host_of(host), today=TODAY)}


async def test_the_host_knows_best_how_long_a_model_lasts() -> None:
    base, own = model(MINI, "2027-02-01"), model(TUNED, "2027-01-20")
    (by_own,) = (await found(Account(models=[base, own]))).values()
    (by_base,) = (await found(Account(models=[base, model(TUNED)]))).values()
    (by_profile,) = (await found(Account(models=[model(MINI), model(TUNED)]))).values()
    assert (by_own.ends_on, by_own.days_left, by_own.ends_by) == (date(2027, 1, 20), 59, "the host says")
    assert (by_base.ends_on, by_base.base) == (date(2027, 2, 1), MINI)
    assert (by_profile.ends_on, by_profile.ends_by) == (date(2027, 1, 14), "OpenAI, as of 2026-11-22")


async def test_every_tuned_model_is_found_once_soonest_to_go_first() -> None:
    foundry = "gpt-4o-mini-2024-07-18.ft-0e208cf33a6a"
    account = Account(
        models=[
            model("gpt-9"),
            model("acme-own"),
            model(TUNED),
            model(foundry),
            model(OLD, "2026-11-01"),
        ],
        jobs=[
            job(4, "llama", "acme-own"),
            job(3, TUNED, "ft:gpt-4.1-mini-2025-04-14:acme:more:B2"),
            job(2, MINI, None),
            job(1, MINI, TUNED),
        ],
    )
    models = await tuned_models(account, host_of("openai"), today=TODAY)
    assert [item.id for item in models] == [
        OLD,
        "ft:gpt-4.1-mini-2025-04-14:acme:more:B2",
        TUNED,
        foundry,
        "acme-own",
    ]
    gone, more, tuned, of_foundry, own = models
    assert (gone.days_left, gone.base, gone.job_id) == (0, "gpt-9", "")
    assert (more.base, more.is_listed, more.job_id) == (MINI, False, "ftjob-3")
    assert (tuned.job_id, tuned.is_listed, tuned.created_at) == ("ftjob-1", True, 1_790_000_000)
    assert of_foundry.base == "gpt-4o-mini-2024-07-18"
    assert (own.base, own.days_left, own.ends_on) == ("llama", None, None)
    assert json.loads(json.dumps([item.to_dict() for item in models]))[0]["ends_on"] == "2026-11-01"
    assert lifecycle.lines(models)[1][-1] == "53 (no longer listed)"
    assert lifecycle.lines(models)[4] == ("acme-own", "llama", "2026-09-21", "", "no end announced")


async def test_another_host_has_other_dates() -> None:
    foundry = "gpt-4.1-2025-04-14.ft-0e208cf33a6a"
    assert (await found(Account(models=[model(foundry)]), "foundry"))[foundry].ends_on == date(2027, 10, 14)


@pytest.mark.parametrize("shutdown", ["soon", "2027-13-01", 7, {}, ""])
async def test_a_date_that_is_none_is_no_date(shutdown: Any, caplog: pytest.LogCaptureFixture) -> None:
    name = OLD
    assert (await found(Account(models=[model(name, shutdown)])))[name].days_left is None
    assert bool(caplog.records) == (shutdown not in ({}, ""))


@pytest.mark.parametrize(
    ("name", "base"),
    [
        (TUNED, MINI),
        ("ft:gpt-4.1:acme::x:ckpt-step-90", "gpt-4.1"),
        ("ft:", ""),
        ("gpt-4.1-2025-04-14.ft-ab12", "gpt-4.1-2025-04-14"),
        ("gpt-4.1", ""),
        (".ft-", ""),
        ("a.ft-b c", ""),
    ],
)
def test_the_base_in_a_name(name: str, base: str) -> None:
    assert base_of_id(name) == base


# --- before money is spent ----------------------------------------------------------------------------


async def check(account: Account, name: str = MINI, *, at_least: int | None = None) -> None:
    host = host_of("openai")
    await check_days(account, host, name, at_least=at_least, today=TODAY, backend="openai")


async def test_a_base_that_is_about_to_go_is_refused() -> None:
    account = Account(models=[model(MINI, "2027-01-14")])
    await check(account, at_least=53)
    with pytest.raises(PreflightError, match=r"for 53 more days, until 2027-01-14 .* 54 are asked") as caught:
        await check(account, TUNED, at_least=54)
    assert "local" in caught.value.hint
    assert {call.path for call in account.calls} == {f"/models/{MINI}"}


async def test_few_days_are_warned_of_without_asking(caplog: pytest.LogCaptureFixture) -> None:
    account = Account(models=[model("gpt-9", "2026-11-23")])
    with caplog.at_level(logging.WARNING, "tunekit"):
        await check(account)
        assert "53 more days" in caplog.text and account.calls == []
        caplog.clear()
        await check(account, "gpt-9")
        await check(Account(models=[model("gpt-9")]), "gpt-9", at_least=10_000)
        assert not caplog.records


async def test_a_model_that_the_host_does_not_list_goes_by_its_profile() -> None:
    with pytest.raises(PreflightError, match="OpenAI, as of"):
        await check(Account(models=[]), "gpt-4o-2024-08-06", at_least=90)


# --- through the backend --------------------------------------------------------------------------------


def backend_of(account: Account, **options: Any) -> OpenAIBackend:
    return OpenAIBackend(transport=account, clock=FakeClock(start=1_795_305_600.0), **options)  # 2026-11-22


@pytest.mark.parametrize("said", [1_798_761_600, 1_798_761_600.5, "2027-01-01T00:00:00Z"])
async def test_a_day_may_be_told_as_a_time(said: Any) -> None:
    (found,) = await backend_of(Account(models=[model(TUNED, said)])).tuned_models()
    assert (found.ends_on, found.days_left) == (date(2027, 1, 1), 40)


async def test_a_day_that_cannot_be_read_is_shown_and_refused_where_days_are_asked_for() -> None:
    account = Account(models=[model("gpt-9", "Jan 14, 2027"), model("ft:gpt-9:acme::z")])
    (found,) = await backend_of(account).tuned_models()
    assert found.days_left is None and found.ends_by == "the host says 'Jan 14, 2027'"
    assert "Jan 14" in next(iter(lifecycle.lines([found])))[-1]
    with pytest.raises(PreflightError, match="'Jan 14, 2027', which is no date"):
        await check_days(account, host_of("generic"), "gpt-9", at_least=90, today=TODAY, backend="openai")


async def test_a_text_is_no_list_of_projects() -> None:
    with pytest.raises(SpecError, match="project_ids is 'proj_a'"):
        await backend_of(Account(models=[])).permit("ckpt", "proj_a")


async def test_half_an_inventory_is_one_that_says_what_is_missing() -> None:
    account = Account(models=[model(TUNED), {"id": 7}], jobs=[job(1, MINI, TUNED)])
    account.closed = "/fine_tuning/jobs"
    found = await backend_of(account).tuned_models()
    assert [item.id for item in found] == [TUNED] and len(found) == 1
    assert found.missing == ("the fine-tuning jobs could not be listed: you may not list these",)
    account.closed = "/models"
    found = await backend_of(account).tuned_models()
    assert [(item.id, item.job_id, item.is_listed) for item in found] == [(TUNED, "ftjob-1", False)]
    account.closed = "/"
    with pytest.raises(BackendError, match="may not list"):
        await backend_of(account).tuned_models()


async def test_the_backend_lists_them() -> None:
    (found,) = await backend_of(Account(models=[model(TUNED)])).tuned_models()
    assert (found.id, found.days_left) == (TUNED, 53)


def test_the_backend_refuses_before_a_file_is_sent() -> None:
    account = Account(models=[model(MINI, "2026-12-01")])
    backend = backend_of(account, min_days_left=30)
    with pytest.raises(PreflightError, match=r"9 more days.*30 are asked for"):
        FineTuneJob.submit(tiny_dataset(rows=12), f"openai:{MINI}", backend=backend, store=MemoryStore())
    assert [call.path for call in account.calls] == [f"/models/{MINI}"]


@pytest.mark.parametrize(
    ("options", "target", "price"),
    [
        ({}, "gpt-4o-2024-08-06", 25.0),
        ({}, MINI, None),
        ({"host": "nebius"}, "Qwen/Qwen2.5-0.5B", 0.4),
        ({"base_url": "http://localhost:8000/v1"}, "gpt-4o-2024-08-06", None),
        ({"host": "crusoe"}, "gpt-4o-2024-08-06", None),
    ],
)
def test_a_price_is_a_hosts_own(options: dict[str, Any], target: str, price: float | None) -> None:
    found = backend_of(Account(models=[]), **options).price(target, TuneSpec())
    assert (found.usd_per_million_tokens if found else None) == price


def test_a_budget_is_held_before_a_file_is_sent() -> None:
    account = Account(models=[])
    spec = TuneSpec(epochs=3, budget=Budget(max_usd=0.001))
    with pytest.raises(PreflightError, match=r"budget\.max_usd is 0\.001"):
        FineTuneJob.submit(
            tiny_dataset(rows=100),
            "openai:gpt-4o-2024-08-06",
            spec,
            backend=backend_of(account),
            store=MemoryStore(),
        )
    assert account.calls == []
