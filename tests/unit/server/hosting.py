"""A server and two callers, asked in-process: what its tests are written with. Knows no route but those it names."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tests.wire.serving import Described
from tunekit.testing import ScriptedBackend

if TYPE_CHECKING:
    import httpx
    from starlette.applications import Starlette

KEY, OTHER = "sk-of-the-support-team", "sk-of-the-sales-team"
LINE = b'{"messages": [{"role": "user", "content": "2+2?"}, {"role": "assistant", "content": "4"}]}\n'


@dataclass
class Host:
    """A server and two callers, each with a key."""

    app: Starlette
    described: Described
    backend: ScriptedBackend
    caller: httpx.AsyncClient
    other: httpx.AsyncClient

    async def upload(
        self, data: bytes = LINE * 3, name: str = "train.jsonl", **fields: str
    ) -> dict[str, Any]:
        form = {"purpose": "fine-tune", **fields}
        return self.good(await self.caller.post("/files", data=form, files={"file": (name, data)}))

    async def create(self, **body: Any) -> dict[str, Any]:
        if "training_file" not in body:
            body["training_file"] = (await self.upload())["id"]
        return self.good(await self.caller.post("/fine_tuning/jobs", json={"model": "base", **body}))

    async def ended(self, job: dict[str, Any]) -> dict[str, Any]:
        return await self.until(job, "succeeded", "failed", "cancelled")

    async def until(self, job: dict[str, Any], *statuses: str) -> dict[str, Any]:
        async with asyncio.timeout(20):
            while True:
                seen = await self.get(f"/fine_tuning/jobs/{job['id']}")
                if seen["status"] in statuses:
                    return seen
                await asyncio.sleep(0.02)

    async def get(self, path: str) -> dict[str, Any]:
        return self.good(await self.caller.get(path))

    @staticmethod
    def good(answer: httpx.Response) -> dict[str, Any]:
        assert answer.status_code == 200, answer.text
        body: dict[str, Any] = answer.json()
        return body

    @staticmethod
    def refused(answer: httpx.Response, status: int, param: str | None = None) -> str:
        """The message of an error with this status, about this parameter."""
        error = json.loads(answer.content)["error"]
        assert (answer.status_code, error["param"]) == (status, param), answer.text
        return str(error["message"])


async def soon(look: Callable[[], bool]) -> None:
    """Wait until something is true, letting the server's own work go on meanwhile."""
    async with asyncio.timeout(20):
        while True:
            if look():
                return
            await asyncio.sleep(0.02)


Serve = Callable[..., "Host"]
