"""Jobs that wait for a place at their backend: a few at a time, in turns between tenants. Knows routes and rows."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from tests.unit.server.hosting import LINE, Host, Serve, soon
from tunekit import JobState, Settings
from tunekit.backends.base import Snapshot, SubmitRequest
from tunekit.server import Limits, holding
from tunekit.server.ledger import Ledger
from tunekit.server.rows import JobRow
from tunekit.testing import ScriptedBackend
from tunekit.testing.scripted import training_script

if TYPE_CHECKING:
    import httpx
    import pytest

ENDLESS = training_script()[:-1]
"""Events of a job that runs and never ends."""
TWO = Limits(backend_jobs=2)


class Noting(ScriptedBackend):
    """A backend whose jobs never end by themselves; it notes which came when."""

    def __init__(self) -> None:
        super().__init__(script=ENDLESS)
        self.suffixes: list[str] = []

    async def submit(self, request: SubmitRequest) -> str:
        self.suffixes.append(str(request.spec.name))
        return await super().submit(request)


class Pausing(Noting):
    """One that can pause them, too."""

    def __init__(self) -> None:
        super().__init__()
        verbs = self.capabilities.verbs | {"pause", "resume"}
        self.__dict__["capabilities"] = replace(self.capabilities, verbs=verbs)
        self.paused: set[str] = set()

    async def pause(self, job_id: str) -> None:
        self.paused.add(job_id)

    async def resume(self, job_id: str) -> None:
        self.paused.discard(job_id)

    async def snapshot(self, job_id: str) -> Snapshot:
        seen = await super().snapshot(job_id)
        return replace(seen, state=JobState.PAUSED) if job_id in self.paused else seen


async def create(caller: httpx.AsyncClient, count: int, name: str, *, first: int = 0) -> list[dict[str, Any]]:
    form = {"purpose": "fine-tune"}
    files = {"file": ("t.jsonl", LINE * 3)}
    file_id = Host.good(await caller.post("/files", data=form, files=files))["id"]
    made = []
    for number in range(first, first + count):
        body = {"model": "base", "training_file": file_id, "suffix": f"{name}{number}"}
        made.append(Host.good(await caller.post("/fine_tuning/jobs", json=body)))
    return made


def in_phase(host: Host, phase: str) -> list[JobRow]:
    rows = [
        row
        for tenant in ("support", "sales")
        for row in host.app.state.service.ledger.page(JobRow, tenant=tenant, limit=1000).rows
    ]
    return [row for row in rows if row.phase == phase]


async def end_one(host: Host) -> None:
    """Cancel the job that has been at its backend the longest."""
    row = min(in_phase(host, "submitted"), key=lambda row: row.turn_at or 0.0)
    caller = host.caller if row.tenant == "support" else host.other
    job = Host.good(await caller.post(f"/fine_tuning/jobs/{row.id}/cancel"))
    assert job["status"] == "cancelled"


async def test_a_few_jobs_are_at_their_backend_and_tenants_take_turns(serve: Serve) -> None:
    host = serve(backend := Noting(), limits=TWO)
    await create(host.caller, 2, "a")
    await soon(lambda: len(in_phase(host, "submitted")) == 2)
    await create(host.caller, 3, "a", first=2)
    await soon(lambda: len(in_phase(host, "held")) == 3)
    await create(host.other, 2, "b")
    await soon(lambda: len(in_phase(host, "held")) == 5)
    assert sorted(backend.suffixes) == ["a0", "a1"]
    for came in range(3, 8):
        await end_one(host)
        await soon(lambda came=came: len(in_phase(host, "submitted")) == 2 and len(backend.suffixes) == came)  # type: ignore[misc]
    assert backend.suffixes[2:] == ["b0", "a2", "b1", "a3", "a4"]
    assert backend.counters.jobs == 7


async def test_a_held_job_is_queued_and_ends_at_once_when_it_is_cancelled(serve: Serve) -> None:
    host = serve(backend := Noting(), limits=TWO)
    await create(host.caller, 2, "a")
    await soon(lambda: len(in_phase(host, "submitted")) == 2)
    held, _ = await create(host.caller, 2, "a", first=2)
    await soon(lambda: len(in_phase(host, "held")) == 2)
    path = f"/fine_tuning/jobs/{held['id']}"
    assert (await host.get(path))["status"] == "queued"
    assert host.good(await host.caller.post(f"{path}/cancel"))["status"] == "cancelled"
    await end_one(host)
    await soon(lambda: len(backend.suffixes) == 3)
    assert backend.suffixes[2] == "a3"
    assert backend.counters.cancels == 1  # of the one that was there


async def test_what_is_wrong_with_a_file_is_said_before_there_is_a_place(serve: Serve) -> None:
    host = serve(Noting(), limits=Limits(backend_jobs=1))
    await create(host.caller, 1, "a")
    await soon(lambda: len(in_phase(host, "submitted")) == 1)
    bad = await host.ended(await host.create(training_file=(await host.upload(b"{}\n"))["id"]))
    assert (bad["status"], bad["error"]["param"]) == ("failed", "training_file")
    other_kind = await host.ended(await host.create(method={"type": "dpo"}))
    assert (other_kind["status"], other_kind["error"]["code"]) == ("failed", "preflight")


async def test_two_servers_give_no_more_places_than_there_are(serve: Serve, settings: Settings) -> None:
    backend = Noting()
    host, second = serve(backend, limits=TWO), serve(backend, limits=TWO)
    second.app.state.background.ensure_running()
    await create(host.caller, 8, "a")
    await soon(lambda: len(in_phase(host, "held")) == 6 and len(in_phase(host, "submitted")) == 2)
    services = [host.app.state.service, second.app.state.service]
    await end_one(host)
    await asyncio.gather(*(asyncio.to_thread(holding.admit, service) for service in services * 8))
    await soon(lambda: len(in_phase(host, "held")) == 5 and len(in_phase(host, "submitted")) == 2)
    assert backend.counters.jobs == 3


async def test_a_place_that_another_process_has_just_given_is_not_given_again(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    host = serve(backend := Noting(), limits=TWO)
    await create(host.caller, 4, "a")
    await soon(lambda: len(in_phase(host, "held")) == 2 and len(in_phase(host, "submitted")) == 2)
    monkeypatch.setattr(Ledger, "in_line", lambda *_: 0)  # it looked before
    holding.admit(host.app.state.service)
    assert len(in_phase(host, "held")) == 2
    assert backend.counters.jobs == 2


async def test_a_paused_job_gives_its_place_to_another_and_needs_one_of_its_tenant(serve: Serve) -> None:
    backend = Pausing()
    host = serve(backend, limits=Limits(backend_jobs=1))
    (first,) = await create(host.caller, 1, "a")
    await host.until(first, "running")
    (second,) = await create(host.caller, 1, "a", first=1)
    assert host.good(await host.caller.post(f"/fine_tuning/jobs/{first['id']}/pause"))["status"] == "paused"
    await host.until(second, "running")
    answer = await host.caller.post(f"/fine_tuning/jobs/{first['id']}/resume")
    assert "1 jobs at its backend" in host.refused(answer, 429)
    assert (await host.get(f"/fine_tuning/jobs/{first['id']}"))["status"] == "paused"
    host.good(await host.caller.post(f"/fine_tuning/jobs/{second['id']}/cancel"))
    (theirs,) = await create(host.other, 1, "b")
    await soon(lambda: [row.id for row in in_phase(host, "submitted")] == [first["id"], theirs["id"]])
    resumed = host.good(await host.caller.post(f"/fine_tuning/jobs/{first['id']}/resume"))
    assert resumed["status"] == "running"  # however many of others come before it can ask


async def test_a_job_that_is_paused_before_it_begins_lets_others_go_first(serve: Serve) -> None:
    host = serve(backend := Noting(), limits=Limits(backend_jobs=1))
    await create(host.caller, 1, "a")
    await soon(lambda: len(in_phase(host, "submitted")) == 1)
    second, third = await create(host.caller, 2, "a", first=1)
    # At once: it may just be looked through, or wait already.
    assert host.good(await host.caller.post(f"/fine_tuning/jobs/{second['id']}/pause"))["status"] == "paused"
    await soon(lambda: len(in_phase(host, "held")) == 2)
    await end_one(host)
    await host.until(third, "running", "queued")
    await soon(lambda: len(in_phase(host, "submitted")) == 1)
    assert (await host.get(f"/fine_tuning/jobs/{second['id']}"))["status"] == "paused"
    resumed = host.good(await host.caller.post(f"/fine_tuning/jobs/{second['id']}/resume"))
    assert resumed["status"] in ("queued", "validating_files")
    await end_one(host)
    await soon(lambda: [row.id for row in in_phase(host, "submitted")] == [second["id"]])
    assert backend.counters.jobs == 3
