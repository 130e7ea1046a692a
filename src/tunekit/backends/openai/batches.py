"""Questions by the thousand in one file, answered within a day at half the price. Knows batches; not single questions.

A batch outlives this process: keep its id, and any process can fetch the answers.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
import re
import secrets
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from tunekit.backends.base import GenerateRequest, Generation
from tunekit.backends.openai import contents, embeddings, listing, wire
from tunekit.backends.openai.datafiles import PREFIX, DataFile
from tunekit.backends.openai.files import BATCH, Files, look_again
from tunekit.backends.openai.questions import CHAT, Asking, Question, answer
from tunekit.backends.openai.transport import Call, Safety
from tunekit.data.wording import brief
from tunekit.errors import BackendError, DeadlineError, NotFoundError, SpecError, UnknownOutcomeError
from tunekit.spec import Sampling

T = TypeVar("T")
_log = logging.getLogger(__name__)
MAX_QUESTIONS = 50_000
MAX_FILE_BYTES = 200_000_000
TAG = "tunekit_batch"
"""Names the call that made a batch, to find it by where the reply was lost."""
CONTENT = "tunekit_questions"
"""Names what is asked, to find a batch by that somebody began before: an evaluation that died, and is run again."""
ENDED = frozenset({"completed", "failed", "expired", "cancelled", "canceled"})
_NO_ANSWERS = (ENDED - {"completed"}) | {"cancelling", "canceling"}
_KEPT_S = 24 * 3600.0
_LATEST_PAGES = 10
_PASSING = frozenset({408, 409, 425, 429})
_PLACE = re.compile(r"[0-9]{1,5}")
BEGINNING = "/v1"
"""Of an endpoint, as a batch names it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """Where a batch stands.

    Attributes:
        id: The host's name for it.
        status: As the host says it, in lower case, such as "in_progress"; those of `ENDED` are final.
        endpoint: Where the questions are asked, such as "/v1/chat/completions".
        completed: Questions that have an answer.
        failed: Questions that have none and will have none.
        total: All of them; 0 while the host has not counted.
        output_file: Id of the file with the answers, or "".
        error_file: Id of the file with what went wrong, or "".
        reason: Why the batch as a whole failed, if it did.
    """

    id: str
    status: str = ""
    endpoint: str = ""
    completed: int = 0
    failed: int = 0
    total: int = 0
    output_file: str = ""
    error_file: str = ""
    reason: str = ""

    @property
    def has_ended(self) -> bool:
        """Whether nothing more will come."""
        return self.status in ENDED


@dataclass(frozen=True, slots=True, kw_only=True)
class Batches:
    """The batches of an account.

    Attributes:
        files: Where questions and answers lie.
        asking: How the host is asked.
    """

    files: Files
    asking: Asking

    async def begin(self, model: str, requests: Sequence[GenerateRequest], sampling: Sampling) -> str:
        """Hand in questions, and give the id of their batch. Handed in once, whatever is lost on the way.

        A batch of the same questions that was begun within a day, by any process, is gone on with: it is paid for.

        Raises:
            SpecError: There are none, more than a batch may have, or of two kinds.
            BackendError: The host refused.
            UnknownOutcomeError: Nobody knows whether the host has the batch.
        """
        return await self._begin(
            len(requests), (self.asking.question(model, request, sampling) for request in requests)
        )

    async def begin_embeddings(self, model: str, texts: Sequence[str]) -> str:
        """Hand in texts whose vectors are wanted, as `begin` does with questions; `vectors` fetches them."""
        return await self._begin(len(texts), (embeddings.question_of(model, text) for text in texts))

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
        return await self.answers_of(await self._ended(batch_id))

    async def answers_of(self, batch: Batch) -> dict[int, Generation | BackendError]:
        """As `answers`, of a batch as it was seen."""
        path = batch.endpoint.removeprefix(BEGINNING) or CHAT
        return await self._read(batch, lambda body: answer(path, body))

    async def vectors(self, batch_id: str) -> dict[int, list[float] | BackendError]:
        """As `answers`, of a batch of texts."""
        return await self._read(await self._ended(batch_id), lambda body: embeddings.vectors(body, 1)[0])

    async def _ended(self, batch_id: str) -> Batch:
        batch = await self.of(batch_id)
        if not batch.has_ended:
            raise SpecError(
                f"batch {brief(batch_id)} is {batch.status or 'going on'}", hint="wait until it has ended"
            )
        return batch

    async def _read(self, batch: Batch, read: Callable[[Any], T]) -> dict[int, T | BackendError]:
        found: dict[int, T | BackendError] = {}
        for file_id in filter(None, (batch.error_file, batch.output_file)):
            async with aclosing(contents.lines(self.files.transport, file_id)) as lines:
                async for line in lines:
                    place, outcome = _told(line, read)
                    found[place] = outcome
        return dict(sorted(found.items()))

    async def _begin(self, count: int, questions: Iterator[Question]) -> str:
        if not 1 <= count <= MAX_QUESTIONS:
            raise SpecError(
                f"{count:,} questions in one batch", hint=f"hand in 1 to {MAX_QUESTIONS:,} at a time"
            )
        with tempfile.TemporaryDirectory(prefix="tunekit-") as directory:
            file, path = await asyncio.to_thread(_written, questions, Path(directory))
            content = hashlib.sha256(f"{path} {file.filename}".encode()).hexdigest()[:32]
            if earlier := await self._earlier(content):
                return earlier
            file_id = await self.files.ensure(file, BATCH)
        return await self._create(file_id, path, content)

    async def _earlier(self, content: str) -> str:
        """The id of a batch of these questions that has answers, or will have; "" where the host shows none."""
        since = time.time() - _KEPT_S
        shown = listing.pages(self.files.transport, "/batches", _Listed.of)
        try:
            async with aclosing(shown) as pages:
                looked = 0
                async for page in pages:
                    looked += 1
                    for batch in page.items:
                        if batch.content == content and batch.created_at >= since and batch.may_answer:
                            _log.info("batch %s of the same questions goes on", batch.id)
                            return batch.id
                    if looked == _LATEST_PAGES or any(batch.created_at < since for batch in page.items):
                        break
        except (BackendError, DeadlineError, NotFoundError) as error:
            _log.warning("nobody knows whether these questions were handed in before: %s", error.message)
        return ""

    async def _create(self, file_id: str, path: str, content: str) -> str:
        tag = secrets.token_hex(16)
        body = {
            "input_file_id": file_id,
            "endpoint": BEGINNING + path,
            "completion_window": "24h",
            "metadata": {TAG: tag, CONTENT: content},
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
        if found := await look_again(self.files.clock, lambda: self._tagged(tag)):
            return found
        raise UnknownOutcomeError(
            f"nobody knows whether the host has the batch: {doubt.message}",
            hint=f"look at the host for a batch with the tag {tag} before you hand it in again",
            details={TAG: tag},
        ) from doubt

    async def _tagged(self, tag: str) -> str:
        listed = await listing.everything(self.files.transport, "/batches", _Listed.of)
        return next((batch.id for batch in listed if batch.tag == tag), "")


@dataclass(frozen=True, slots=True)
class _Listed:
    """A batch in a list: by what it is found."""

    id: str
    tag: str
    content: str
    created_at: int
    may_answer: bool

    @classmethod
    def of(cls, body: Any) -> _Listed:
        batch, metadata = _batch(body), wire.mapping(body, "metadata")
        may_answer = batch.status not in _NO_ANSWERS and (
            batch.status != "completed" or bool(batch.output_file)
        )
        return cls(
            id=batch.id,
            tag=wire.text(metadata, TAG),
            content=wire.text(metadata, CONTENT),
            created_at=wire.count(body, "created_at"),
            may_answer=may_answer,
        )


def _written(questions: Iterator[Question], directory: Path) -> tuple[DataFile, str]:
    """The file of questions, and where they are asked; each is named by its place, for answers come in any order."""
    path = directory / "questions.jsonl"
    digest, size, asked_at = hashlib.sha256(), 0, ""
    with path.open("wb") as file:
        for at, question in enumerate(questions):
            asked_at = asked_at or question.path
            line = _line(at, question, asked_at)
            file.write(line)
            digest.update(line)
            size += len(line)
    if size > MAX_FILE_BYTES:
        raise SpecError(
            f"the questions have {size:,} bytes, more than {MAX_FILE_BYTES:,}", hint="hand in fewer at a time"
        )
    name = f"{PREFIX}{digest.hexdigest()[:40]}.jsonl"
    return DataFile(path=path, filename=name, size_bytes=size), asked_at


def _line(at: int, question: Question, asked_at: str) -> bytes:
    if question.path != asked_at:
        raise SpecError(
            f"question {at} is asked at {question.path}, and the first one at {asked_at}",
            hint="hand in chats and plain texts as two batches",
        )
    row = {"custom_id": f"{at}", "method": "POST", "url": BEGINNING + asked_at, "body": question.body}
    try:
        return json.dumps(row, ensure_ascii=False, allow_nan=False).encode() + b"\n"
    except (TypeError, ValueError, RecursionError) as error:
        raise SpecError(
            f"question {at} has no JSON form: {error}", hint="use texts and finite numbers"
        ) from None


def _batch(body: Any) -> Batch:
    batch_id = wire.id_of(body, "a batch")
    counts = wire.mapping(body, "request_counts")
    return Batch(
        id=batch_id,
        status=wire.text(body, "status").lower(),
        endpoint=wire.text(body, "endpoint"),
        completed=wire.count(counts, "completed"),
        failed=wire.count(counts, "failed"),
        total=wire.count(counts, "total"),
        output_file=wire.text(body, "output_file_id"),
        error_file=wire.text(body, "error_file_id"),
        reason=wire.text(wire.first(wire.mapping(body, "errors"), "data"), "message")[
            : wire.MAX_MESSAGE_CHARS
        ],
    )


def _told(line: bytes, read: Callable[[Any], T]) -> tuple[int, T | BackendError]:
    """What a line of the host says: the place of a question, and what has come of it."""
    try:
        body = json.loads(line)
    except (ValueError, RecursionError):
        body = None
    place = wire.text(body, "custom_id") if isinstance(body, dict) else ""
    if not _PLACE.fullmatch(place):  # as `_line` wrote it
        raise wire.unreadable("a line of a batch", f"it is {line[:40]!r}")
    return int(place), _answer(body, read)


def _answer(body: dict[str, Any], read: Callable[[Any], T]) -> T | BackendError:
    response = wire.mapping(body, "response")
    error = wire.mapping(body, "error") or wire.mapping(wire.mapping(response, "body"), "error")
    status = wire.count(response, "status_code")
    if error or status != 200:
        may_pass = status < 400 or status >= 500 or status in _PASSING
        return BackendError(
            f"the host has no answer: {wire.text(error, 'message')[:300] or f'status {status}'}",
            hint="ask this one again, by itself" if may_pass else "change what it names, or leave it out",
            retryable=may_pass,
            details={"code": wire.text(error, "code"), "status": status},
        )
    try:
        return read(response.get("body"))
    except BackendError as unreadable:  # the others of its file are not lost with it
        return unreadable
