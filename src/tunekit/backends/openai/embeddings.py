"""Vectors of texts from a host. Knows how they are asked for, packed and read, and how many fit into one reply."""

from __future__ import annotations

import base64
import math
import struct
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from tunekit.backends.openai import wire
from tunekit.backends.openai.questions import Question
from tunekit.backends.openai.side_by_side import each
from tunekit.backends.openai.transport import Call, Reply, Safety, Transport

PATH = "/embeddings"

MOST_AT_ONCE = 2048
MOST_BYTES_AT_ONCE = 300_000
"""A request may have 300,000 tokens, and a token is a byte at least."""

FIRST_AT_ONCE = 128
"""While nobody knows how long a vector is: of 12,288 numbers in indented JSON these take 70 MB."""
REPLY_BYTES = 32 << 20
"""What a reply is let grow to, by the size of the first one."""


async def embed(transport: Transport, model: str, texts: Sequence[str], *, at_once: int) -> list[list[float]]:
    """One vector per text, in order; in as few calls as the host's limits and the size of the replies allow.

    Raises:
        BackendError: The host refused, or did not send a vector for each text.
        NotFoundError: There is no such model.
    """

    async def asked(batch: list[str]) -> Reply:
        # Asked twice, it costs twice and changes nothing.
        question = question_of(model, batch)
        call = Call(method="POST", path=PATH, safety=Safety.REPEATABLE, body=question.body)
        return await transport.send(call)

    async def some(batch: list[str]) -> list[list[float]]:
        return await (await asked(batch)).read(lambda body: vectors(body, len(batch)))

    first = next(_batches(texts, FIRST_AT_ONCE), [])
    if not first:
        return []
    reply = await asked(first)
    found = await reply.read(lambda body: vectors(body, len(first)))
    most = max(1, min(MOST_AT_ONCE, REPLY_BYTES * len(first) // max(1, len(reply.body))))
    rest = await each(list(_batches(texts[len(first) :], most)), some, at_once=at_once)
    return [*found, *(vector for batch in rest for vector in batch)]


def question_of(model: str, texts: str | list[str]) -> Question:
    """What is asked of a text, or of several.

    The vectors are wanted in base64, a sixth of the same in JSON: so OpenAI's own clients ask, unless told otherwise.
    """
    return Question(path=PATH, body={"model": model, "input": texts, "encoding_format": "base64"})


def vectors(body: Any, count: int) -> list[list[float]]:
    """The vectors of a reply by the index that each has; a host may send them in any order, packed or not.

    Raises:
        BackendError: There are not as many.
    """
    items = [item for item in wire.items(body, "data") if isinstance(item, dict)]
    found = {_place(item, at): _numbers(item.get("embedding")) for at, item in enumerate(items)}
    listed = [found.get(at, []) for at in range(count)]
    if not all(listed):
        raise wire.unreadable("embeddings", f"it has no vector for each of {count} texts")
    return listed


def _numbers(vector: Any) -> list[float]:
    """The numbers of a vector; none where one of them is no number."""
    if isinstance(vector, str):
        return _unpacked(vector)
    if not isinstance(vector, list) or not all(map(wire.is_number, vector)):
        return []
    return [float(value) for value in vector]


def _unpacked(text: str) -> list[float]:
    """The numbers in base64, of four bytes each, the smallest first."""
    try:
        found = [value for (value,) in struct.iter_unpack("<f", base64.b64decode(text, validate=True))]
    except (ValueError, struct.error):
        return []
    return found if all(map(math.isfinite, found)) else []


def _place(item: Mapping[str, Any], at: int) -> int:
    index = item.get("index", at)
    return index if isinstance(index, int) else -1


def _batches(texts: Sequence[str], most: int) -> Iterator[list[str]]:
    batch: list[str] = []
    room = MOST_BYTES_AT_ONCE
    for text in texts:
        size = len(text.encode("utf-8", "surrogatepass"))
        if batch and (size > room or len(batch) == most):
            yield batch
            batch, room = [], MOST_BYTES_AT_ONCE
        batch.append(text)
        room -= size
    if batch:
        yield batch
