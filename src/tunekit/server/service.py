"""What every route works with: models, keys, limits, and where things are kept. Knows no route."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Mapping
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from typing import Any, ParamSpec, TypeVar

from starlette.requests import Request

from tunekit._settings import Settings
from tunekit.backends import registry
from tunekit.backends.base import Backend
from tunekit.data.wording import brief, nearest
from tunekit.refs import ModelRef, Target
from tunekit.server.disk import Disk
from tunekit.server.keys import Keys
from tunekit.server.ledger import Ledger
from tunekit.server.limits import Limits
from tunekit.server.rows import ModelRow
from tunekit.server.telling import UnknownHereError
from tunekit.server.webhooks import Webhook
from tunekit.spec import TuneSpec
from tunekit.store.base import RunStore

P = ParamSpec("P")
T = TypeVar("T")

_THREADS_OF_A_LANE = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Served:
    """A base model as callers see it.

    Attributes:
        target: Where it is trained and answers, `"<backend>:<model>"`.
        spec: The recipe that a job starts from; what the request says goes over it. Adapter, rank and what else the
            dialect has no words for are said here. Its `learning_rate` is what a `learning_rate_multiplier` multiplies:
            a rate, or at "auto" whatever the backend would choose.
        trainable: Whether callers may fine-tune it.

    Examples:
        >>> Served(target="local:Qwen/Qwen3-0.6B", spec=TuneSpec(learning_rate=2e-4)).trainable
        True
    """

    target: str
    spec: TuneSpec = TuneSpec()
    trainable: bool = True

    def __post_init__(self) -> None:
        """Check the target; raises `RefError`."""
        Target(self.target)


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """What every route works with.

    Attributes:
        served: Base models by the name that callers use.
        backends: Configured backends by name; others are loaded when they are needed.
        keys: Who may call.
        limits: How much.
        store: Who remembers the runs.
        settings: Knobs of the host.
        ledger: The server's own rows.
        disk: The bytes of files.
        webhooks: Whom to tell of the end of a job.
        arriving: Bytes that each tenant may be sending right now, to this process.
        lanes: Threads for what takes seconds, a few for each lane; see `slowly`.
    """

    served: Mapping[str, Served]
    backends: Mapping[str, Backend]
    keys: Keys
    limits: Limits
    store: RunStore
    settings: Settings
    ledger: Ledger
    disk: Disk
    webhooks: tuple[Webhook, ...] = ()
    arriving: Counter[str] = field(default_factory=Counter)
    lanes: dict[str, Executor] = field(default_factory=dict)

    def backend(self, name: str) -> Backend:
        """The backend of that name."""
        return registry.serving(name, self.backends.get(name), self.settings)

    def base(self, name: str) -> Served:
        """A base model.

        Raises:
            NotFoundError: There is none of that name.
        """
        found = self.served.get(name)
        if found is None:
            near = nearest(name, self.served)
            raise UnknownHereError(
                f"the model {brief(name)} does not exist or you do not have access to it",
                hint=near or "GET /v1/models lists what there is",
                details={"model": brief(name)},
            )
        return found

    def tuned(self, name: str, tenant: str) -> ModelRow | None:
        """A tenant's tuned model or checkpoint; None if that is not the name of one."""
        row = self.ledger.find(ModelRow, name)
        return row if row is not None and row.tenant == tenant and not row.deleted else None

    def model(self, name: str, tenant: str) -> ModelRef:
        """The model that a name stands for, tuned or base.

        Raises:
            NotFoundError: The tenant sees none of that name.
        """
        row = self.tuned(name, tenant)
        return ModelRef(row.ref if row is not None else self.base(name).target)

    async def slowly(self, lane: str, function: Callable[P, T], *arguments: P.args, **named: P.kwargs) -> T:
        """Call something that may take seconds or minutes, in one of the few threads of its lane.

        Args:
            lane: Whose work it is, and of which kind: who has much of it waits for himself, and holds up nobody else.
            function: What to call.
            arguments: With what.
            named: And with what by name.
        """
        if lane not in self.lanes:
            self.lanes[lane] = ThreadPoolExecutor(_THREADS_OF_A_LANE, f"tunekit {lane}")
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self.lanes[lane], partial(function, *arguments, **named))

    def now(self) -> float:
        """Unix time in seconds."""
        return time.time()


def service_of(request: Request) -> Service:
    """The service that a request came to."""
    found: Service = request.app.state.service
    return found


def tenant_of(request: Request) -> str:
    """Who calls; the guard in front of all routes has looked at the key."""
    found: str = request.state.tenant
    return found


async def blocking(function: Callable[P, T], *arguments: P.args, **named: P.kwargs) -> T:
    """Call something that waits for a disk, without holding up the others."""
    return await asyncio.to_thread(function, *arguments, **named)


def listed(data: list[dict[str, Any]], *, has_more: bool) -> dict[str, Any]:
    """A list in OpenAI's shape."""
    return {
        "object": "list",
        "data": data,
        "first_id": data[0]["id"] if data else None,
        "last_id": data[-1]["id"] if data else None,
        "has_more": has_more,
    }
