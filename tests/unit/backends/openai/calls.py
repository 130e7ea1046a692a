"""What the tests of the transport begin with: a transport for a loopback server, and short calls."""

from __future__ import annotations

from typing import Any

from tests.wire.exchange import Request, Response
from tests.wire.faults import FaultyServer
from tunekit._clock import SystemClock
from tunekit.backends.openai.endpoint import Endpoint
from tunekit.backends.openai.http import HttpTransport
from tunekit.backends.openai.quota import RetryQuota
from tunekit.backends.openai.transport import Call, Safety

CANARY = "sk-canary-5f2a9c7e1b3d"


class Hasty(SystemClock):
    """Time as it is, but pauses are short."""

    async def sleep(self, seconds: float) -> None:
        await super().sleep(seconds / 20)


def ok(_: Request) -> Response:
    return Response(
        headers={"content-type": "application/json", "x-request-id": "req_1"}, body=b'{"ok": true}'
    )


def transport(server: FaultyServer, **options: Any) -> HttpTransport:
    """Quick to try again, with as many tries as it likes."""
    settings = {"deadline_s": 5.0, "quota": RetryQuota(1_000_000), "clock": Hasty(), **options}
    return HttpTransport(Endpoint(server.url + "/v1", key=CANARY), **settings)


def read(path: str = "/models", **options: Any) -> Call:
    return Call(method="GET", path=path, safety=Safety.READ, **options)


def once(path: str = "/fine_tuning/jobs", **options: Any) -> Call:
    return Call(method="POST", path=path, safety=Safety.ONCE, **{"body": {"model": "m"}, **options})


def cancel(path: str = "/fine_tuning/jobs/1/cancel", **options: Any) -> Call:
    return Call(method="POST", path=path, safety=Safety.REPEATABLE, **options)
