"""Questions by the thousand in one file, answered within a day at half the price. Knows batches; not single questions.

A batch outlives this process: keep its id, and any process can fetch the answers.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import secrets
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tunekit.backends.base import GenerateRequest, Generation
from tunekit.backends.openai import inference, listing, wire
from tunekit.backends.openai.datafiles import PREFIX, DataFile
from tunekit.backends.openai.files import BATCH, LISTING_DELAYS_S, Files
from tunekit.backends.openai.transport import Call, Safety
from tunekit.data.wording import brief
from tunekit.errors import BackendError, DeadlineError, SpecError, UnknownOutcomeError
from tunekit.spec import Sampling

MAX_QUESTIONS = 50_000
MAX_FILE_BYTES = 200_000_000
TAG = "tunekit_batch"
ENDED = frozenset({"completed", "failed", "expired", "cancelled"})
_ENDPOINT = "/v1/chat/completions"


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """Where a batch stands.

    Attributes:
        id: The host's name for it.
        status: As the host says it, such as "in_progress"; those of `ENDED` are final.
        completed: Questions that have an answer.
        failed: Questions that have none and will have none.
        total: All of them; 0 while the host has not counted.
        output_file: Id of the file with the answers, or "".
        error_file: Id of the file with what went wrong, or "".
    """

    id: str
    status: str = ""
    completed: int = 0
    failed: int = 0
    total: int = 0
    output_file: str = ""
    error_file: str = ""

    @property
    def has_ended(self) -> bool:
        """Whether nothing more will come."""
        return self.status in ENDED


@dataclass(frozen=True, slots=True, kw_only=True)
class Batches:
    """The batches of an account.

    Attributes:
        files: Where questions and answers lie.
        max_tokens_field: What the host calls the longest answer.
    """

    files: Files
    max_tokens_field: str

    async def begin(self, model: str, requests: Sequence[GenerateRequest], sampling: Sampling) -> str:
        """Hand in questions, and give the id of their batch. Handed in once, whatever is lost on the way.

        Raises:
            SpecError: There are none, or more than a batch may have.
            BackendError: The host refused.
            UnknownOutcomeError: Nobody knows whether the host has the batch.
        """
        if not 1 <= len(requests) <= MAX_QUESTIONS:
            raise SpecError(
                f"{len(requests):,} questions in one batch", hint=f"hand in 1 to {MAX_QUESTIONS:,} at a time"
            )
        with tempfile.TemporaryDirectory(prefix="tunekit-") as directory:
            bodies = (
                inference.question(model, request, sampling, self.max_tokens_field) for request in requests
            )
            file = await asyncio.to_thread(_written, bodies, Path(directory))
            file_id = await self.files.ensure(file, BATCH)
        return await self._create(file_id)

    async def of(self, batch_id: str) -> Batch:
        """Where a batch stands.

        Raises:
            NotFoundError: The host does not know it.
        """
        call = Call(method="GET", path=f"/batches/{wire.quoted(batch_id)}", safety=Safety.READ)
        return _batch((await self.files.transport.send(call)).json())

    async def cancel(self, batch_id: str) -> None:
        """Ask the host to stop a batch. What is answered by then is kept, and billed."""
        path = f"/batches/{wire.quoted(batch_id)}/cancel"
        await self.files.transport.send(Call(method="POST", path=path, safety=Safety.REPEATABLE))

    async def answers(self, batch_id: str) -> dict[int, Generation | BackendError]:
        """What has come of a batch that has ended, by the place of the question; a place may be missing.

        Raises:
            SpecError: The batch is still going on.
            BackendError: A file of the host cannot be read.
        """
        batch = await self.of(batch_id)
        if not batch.has_ended:
            raise SpecError(
                f"batch {brief(batch_id)} is {batch.status or 'going on'}", hint="wait until it has ended"
            )
        found: dict[int, Generation | BackendError] = {}
        for file_id in filter(None, (batch.error_file, batch.output_file)):
            found |= dict(_answers(await self.files.content(file_id)))
        return dict(sorted(found.items()))

    async def _create(self, file_id: str) -> str:
        tag = secrets.token_hex(16)
        body = {
            "input_file_id": file_id,
            "endpoint": _ENDPOINT,
            "completion_window": "24h",
            "metadata": {TAG: tag},
        }
        call = Call(method="POST", path="/batches", safety=Safety.ONCE, body=body)
        try:
            return wire.made((await self.files.transport.send(call)).json(), "a batch")
        except (BackendError, DeadlineError) as error:
            if not getattr(error, "ambiguous", True):
                raise
            return await self._adopted(tag, error)

    async def _adopted(self, tag: str, doubt: BackendError | DeadlineError) -> str:
        """The id of the batch with this tag, after a call whose outcome nobody knows."""
        for delay_s in LISTING_DELAYS_S:
            await self.files.clock.sleep(delay_s)
            for found_tag, batch_id in await listing.everything(self.files.transport, "/batches", _tagged):
                if found_tag == tag:
                    return batch_id
        raise UnknownOutcomeError(
            f"nobody knows whether the host has the batch: {doubt.message}",
            hint=f"look at the host for a batch with the tag {tag} before you hand it in again",
            details={TAG: tag},
        ) from doubt


def _written(bodies: Iterator[dict[str, Any]], directory: Path) -> DataFile:
    """The file of questions; each is named by its place, since answers come in any order."""
    path = directory / "questions.jsonl"
    digest, size = hashlib.sha256(), 0
    with path.open("wb") as file:
        for at, body in enumerate(bodies):
            question = {"custom_id": f"{at}", "method": "POST", "url": _ENDPOINT, "body": body}
            line = json.dumps(question, ensure_ascii=False).encode() + b"\n"
            file.write(line)
            digest.update(line)
            size += len(line)
    if size > MAX_FILE_BYTES:
        raise SpecError(
            f"the questions have {size:,} bytes, more than {MAX_FILE_BYTES:,}", hint="hand in fewer at a time"
        )
    return DataFile(path=path, filename=f"{PREFIX}{digest.hexdigest()[:40]}.jsonl", size_bytes=size)


def _batch(body: Any) -> Batch:
    batch_id = wire.id_of(body, "a batch")
    counts = wire.mapping(body, "request_counts")
    return Batch(
        id=batch_id,
        status=wire.text(body, "status"),
        completed=int(wire.number(counts, "completed")),
        failed=int(wire.number(counts, "failed")),
        total=int(wire.number(counts, "total")),
        output_file=wire.text(body, "output_file_id"),
        error_file=wire.text(body, "error_file_id"),
    )


def _tagged(body: Any) -> tuple[str, str]:
    batch_id = wire.id_of(body, "a batch")
    return wire.text(wire.mapping(body, "metadata"), TAG), batch_id


def _answers(content: bytes) -> Iterator[tuple[int, Generation | BackendError]]:
    """The answers in a file of the host, by the place of the question."""
    for line in content.splitlines():
        if not line.strip():
            continue
        try:
            body = json.loads(line)
            place = int(body["custom_id"])
        except (ValueError, TypeError, KeyError, RecursionError):
            raise wire.unreadable("a line of a batch", f"it is {line[:40]!r}") from None
        yield place, _answer(body)


def _answer(body: dict[str, Any]) -> Generation | BackendError:
    response = wire.mapping(body, "response")
    error = wire.mapping(body, "error") or wire.mapping(wire.mapping(response, "body"), "error")
    if error or wire.number(response, "status_code") != 200:
        said = wire.text(error, "message")[:300] or f"status {wire.number(response, 'status_code'):.0f}"
        return BackendError(
            f"the host has no answer: {said}",
            hint="ask this one again, by itself",
            retryable=True,
            details={"code": wire.text(error, "code")},
        )
    return inference.answer(response.get("body"))
