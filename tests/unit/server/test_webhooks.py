"""Outgoing webhooks: signed as the standard says, sent until they arrive, and once to those who answer."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from tests.unit.server.hosting import Serve, soon
from tunekit import JobState, SpecError
from tunekit.backends.openai.webhooks import receive
from tunekit.server import Webhook
from tunekit.server.rows import DeliveryRow
from tunekit.server.webhooks import pause_s
from tunekit.testing import ScriptedBackend
from tunekit.testing.scripted import training_script

SECRET = "whsec_" + base64.b64encode(b"0123456789abcdef01234567").decode()


@dataclass
class Receiver:
    """A loopback server that keeps what it was sent and answers with the statuses it was told, then 200."""

    statuses: list[int] = field(default_factory=list)
    got: list[tuple[dict[str, str], bytes]] = field(default_factory=list)
    url: str = ""


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    kept = Receiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            kept.got.append(({name.lower(): value for name, value in self.headers.items()}, body))
            self.send_response(kept.statuses.pop(0) if kept.statuses else 200)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        kept.url = f"http://127.0.0.1:{server.server_port}/hook?a=b"
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield kept
        server.shutdown()
        thread.join()


@pytest.mark.parametrize("end", [JobState.SUCCEEDED, JobState.FAILED])
async def test_the_end_of_a_job_is_told(serve: Serve, receiver: Receiver, end: JobState) -> None:
    webhook = Webhook(url=receiver.url, secret=SECRET, tenant="support")
    elsewhere = Webhook(url=receiver.url, secret=SECRET, tenant="sales")
    host = serve(ScriptedBackend(script=training_script(end=end)), webhooks=[webhook, elsewhere])
    job = await host.ended(await host.create())
    await soon(lambda: len(receiver.got) == 1)
    ((headers, body),) = receiver.got
    message = json.loads(body)
    assert message["type"] == f"fine_tuning.job.{end.value}"
    assert message["data"] == {"id": job["id"]}
    assert message["id"] == headers["webhook-id"]
    event = receive(headers, body, secret=SECRET)
    assert (event.job_id, event.claimed_state) == (job["id"], end)
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    expected = hmac.new(b"0123456789abcdef01234567", signed, hashlib.sha256).digest()
    assert headers["webhook-signature"] == f"v1,{base64.b64encode(expected).decode()}"


async def test_a_message_that_was_not_taken_is_sent_again(
    serve: Serve, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tunekit.server.webhooks._FIRST_PAUSE_S", 0.05)
    receiver.statuses = [500, 302]
    host = serve(webhooks=[Webhook(url=receiver.url, secret=SECRET)])
    await host.ended(await host.create())
    await soon(lambda: len(receiver.got) == 3)
    assert len({headers["webhook-id"] for headers, _ in receiver.got}) == 1
    ledger = host.app.state.service.ledger
    await soon(lambda: not ledger.page(DeliveryRow, tenant="support", limit=9).rows)


def test_pauses_grow_up_to_hours() -> None:
    assert [pause_s(attempts) for attempts in (0, 1, 2, 11)] == [5.0, 20.0, 80.0, 4 * 3600.0]


@pytest.mark.parametrize(
    ("url", "secret"),
    [
        ("http://example.com/hook", SECRET),
        ("ftp://127.0.0.1/hook", SECRET),
        ("https://user:password@example.com/", SECRET),
        ("https://", SECRET),
        ("https://example.com/hook", "whsec_c2hvcnQ="),
        ("https://example.com/hook", "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"),
    ],
)
def test_webhooks_that_are_none(url: str, secret: str) -> None:
    with pytest.raises(SpecError) as caught:
        Webhook(url=url, secret=secret)
    assert secret not in str(caught.value)
