"""Vectors: each in the place of its text, in calls whose replies can be read; held to OpenAI's description."""

from __future__ import annotations

import base64
import json
import struct
from typing import Any

import pytest

from tests.wire.exchange import Request, Response
from tests.wire.inprocess import InProcess
from tests.wire.service import Service
from tunekit.backends.openai import embeddings
from tunekit.backends.openai.backend import OpenAIBackend
from tunekit.backends.openai.http import HttpTransport
from tunekit.errors import BackendError


@pytest.fixture
def backend(transport: InProcess) -> OpenAIBackend:
    return OpenAIBackend(transport=transport)


def counts(transport: InProcess) -> list[int]:
    return [len(call.body["input"]) for call in transport.calls if call.body]


async def test_vectors_come_in_order_and_in_few_calls(backend: OpenAIBackend, transport: InProcess) -> None:
    texts = [str(number) for number in range(3000)]
    vectors = await backend.embed("e", texts)
    assert counts(transport) == [128, 2048, 824]
    assert vectors[2500] == (await backend.embed("e", ["2500"]))[0]
    assert len({vector[0] for vector in vectors}) == 3000
    assert await backend.embed("e", []) == []


async def test_long_texts_are_shared_out_among_calls(backend: OpenAIBackend, transport: InProcess) -> None:
    await backend.embed("e", ["\u00fc" * 100_000] * 3 + ["x"])
    assert counts(transport) == [1, 1, 2]


@pytest.mark.parametrize("numbers", [3072, 12_288])
async def test_replies_stay_below_what_is_read_whole(numbers: int) -> None:
    """Of a host that knows no base64 and indents its JSON, as api.openai.com does."""
    vector = [0.012345678901234567] * numbers
    one = len(json.dumps([{"object": "embedding", "index": 0, "embedding": vector}], indent=8))
    sizes: list[int] = []

    def indented(request: Request) -> Response:
        texts = json.loads(request.body)["input"]
        sizes.append(one * len(texts))
        data = [{"index": at, "embedding": [0.5]} for at in range(len(texts))]
        # Blanks in place of the numbers: a test needs their size only.
        return Response(body=json.dumps({"data": data}).encode() + b" " * (one * len(texts)))

    texts = [f"class {number}" for number in range(600)]
    assert len(await OpenAIBackend(transport=InProcess(handler=indented)).embed("e", texts)) == 600
    assert max(sizes) < (HttpTransport.__init__.__kwdefaults__ or {})["most_bytes"]
    assert max(sizes[1:]) <= embeddings.REPLY_BYTES + one


async def test_packed_or_not_the_numbers_are_the_same() -> None:
    vector = [0.25, -1.5, 3.0]
    packed = base64.b64encode(struct.pack("<3f", *vector)).decode()

    def mixed(request: Request) -> Response:
        assert json.loads(request.body)["encoding_format"] == "base64"
        return Response.of({"data": [{"embedding": packed}, {"embedding": vector}]})

    found = await OpenAIBackend(transport=InProcess(handler=mixed)).embed("e", ["a", "b"])
    assert found == [vector, vector]


@pytest.mark.parametrize(
    "data",
    [
        None,
        [],
        [{"index": 1, "embedding": [1.0]}],
        [{"index": 0, "embedding": None}],
        [{"index": 0, "embedding": ["x"]}],
        [{"index": 0, "embedding": []}],
        [{"index": [], "embedding": [1.0]}],
        [{"index": 0, "embedding": ""}],
        [{"index": 0, "embedding": "!!!!"}],
        [{"index": 0, "embedding": "AAA="}],
        [{"index": 0, "embedding": "\u00fc"}],
        [{"index": 0, "embedding": base64.b64encode(struct.pack("<f", float("nan"))).decode()}],
    ],
)
async def test_missing_vector_is_an_error(transport: InProcess, data: Any) -> None:
    transport.handler = lambda request: Response.of({"data": data})
    with pytest.raises(BackendError, match="no vector"):
        await OpenAIBackend(transport=transport).embed("e", ["a"])


async def test_service_packs_as_it_is_asked(service: Service, backend: OpenAIBackend) -> None:
    await backend.embed("e", ["a"])
    assert service.bodies("POST", "/embeddings") == [
        {"model": "e", "input": ["a"], "encoding_format": "base64"}
    ]
