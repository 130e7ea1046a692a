"""From a batch's questions to its answers, while nobody asks. Knows files of questions and answers; no route.

Answers are written behind one another as they come, so a process that goes on where another was killed asks only what
has none yet.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import count, islice
from typing import Annotated, Any

from pydantic import Field
from starlette.exceptions import HTTPException

from tunekit.data.wording import brief
from tunekit.errors import ConflictError
from tunekit.server.inference import answer_of
from tunekit.server.leases import turn
from tunekit.server.problems import response_of
from tunekit.server.reading import Body, checked, parsed
from tunekit.server.rows import BatchRow, BatchStatus, FileRow, id_of, new_id
from tunekit.server.service import Service, blocking

_AT_ONCE = 8
_RETRIES = 5


class Question(Body):
    """A line of the input file."""

    custom_id: Annotated[str, Field(min_length=1, max_length=512)]
    method: str
    url: str
    body: dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A line of the output file, or of the file of refusals."""

    custom_id: str
    line: bytes
    is_good: bool


async def run(service: Service, row: BatchRow, asking: asyncio.Semaphore) -> None:
    """Ask all questions of a batch that have no answer yet, unless a living process is at it.

    Args:
        service: What it works with.
        row: The batch.
        asking: Held for a few questions at a time; then it is another batch's turn.
    """
    async with turn(service, f"batch:{row.id}") as is_ours:
        if is_ours:
            await _run(service, row, asking)


async def _run(service: Service, row: BatchRow, asking: asyncio.Semaphore) -> None:
    lane = f"files of {row.tenant}"
    total, problem = await service.slowly(lane, _looked_through, service, row)
    if problem:
        await _change(service, row, "failed", problem=problem, due=None)
        return
    if row.status == "validating":
        await _change(service, row, "in_progress", total=total)
    done = await service.slowly(lane, _done, service, row)
    rest = (question for question in _questions(service, row) if question.custom_id not in done)
    while True:
        latest = await blocking(service.ledger.find, BatchRow, row.id)
        if latest is None or latest.due is None:
            return
        if latest.status == "cancelling" or service.now() >= latest.expires_at:
            await _end(service, latest, "cancelled" if latest.status == "cancelling" else "expired")
            return
        asked = await service.slowly(lane, lambda: list(islice(rest, _AT_ONCE)))
        if not asked:
            await _end(service, latest, "completed")
            return
        async with asking:
            answers = await asyncio.gather(*(_answer(service, row, question) for question in asked))
        done |= {answer.custom_id: answer.is_good for answer in answers}
        await blocking(_write, service, row, answers)
        await _change(service, row, completed=sum(done.values()), failed=len(done) - sum(done.values()))


async def _answer(service: Service, row: BatchRow, question: Question) -> Answer:
    """What the question's own route would answer; what is wrong with one is no matter of the others."""
    request_id = new_id("req_")
    try:
        status, body = 200, await answer_of(service, row.tenant, row.endpoint, question.body)
    except Exception as error:
        refusal = response_of(error, request_id)
        status, body = refusal.status_code, json.loads(bytes(refusal.body))
    said = {
        "id": new_id("batch_req_"),
        "custom_id": question.custom_id,
        "response": {"status_code": status, "request_id": request_id, "body": body},
        "error": None,
    }
    line = json.dumps(said, separators=(",", ":")).encode() + b"\n"
    return Answer(custom_id=question.custom_id, line=line, is_good=status == 200)


async def _end(service: Service, row: BatchRow, status: BatchStatus) -> None:
    """Show the files, with the end of the batch in one transaction."""
    now = service.now()
    files = []
    for is_good, name in ((True, "output"), (False, "error")):
        file_id = _file_id(row, is_good=is_good)
        if size := await blocking(service.disk.size, file_id):
            filename = f"{row.id}_{name}.jsonl"
            files.append(
                FileRow(
                    id=file_id,
                    tenant=row.tenant,
                    created_at=now,
                    due=now + row.keep_s if row.keep_s is not None else None,
                    expires_at=int(now) + row.keep_s if row.keep_s is not None else None,
                    bytes=size,
                    filename=filename,
                    purpose="batch_output",
                )
            )
    ids = {file.id for file in files}
    shown = {
        field: file_id
        for field, is_good in (("output_file_id", True), ("error_file_id", False))
        if (file_id := _file_id(row, is_good=is_good)) in ids
    }
    await _change(service, row, status, *files, due=None, **shown)


async def _change(
    service: Service, row: BatchRow, status: BatchStatus | None = None, *beside: FileRow, **changes: Any
) -> None:
    """Write changes down, beside what a caller may have asked for meanwhile.

    Raises:
        ConflictError: Others write all the time, or the batch has ended.
    """
    for _ in range(_RETRIES):
        latest = await blocking(service.ledger.find, BatchRow, row.id)
        if latest is None or latest.due is None:
            break
        if status is not None and not (status == "in_progress" and latest.status == "cancelling"):
            times = {**latest.times, f"{status}_at": int(service.now())}
            changes |= {"status": status, "times": times}
        try:
            await blocking(partial(service.ledger.change, latest, *beside, **changes))
        except ConflictError:
            continue
        return
    raise ConflictError(f"batch {row.id!r} was changed by somebody else", hint="read it again")


def _looked_through(service: Service, row: BatchRow) -> tuple[int, str]:
    """How many questions there are, and what is wrong with the file; nothing is asked of one that is wrong."""
    seen: set[str] = set()
    try:
        for number, question in enumerate(_questions(service, row), start=1):
            if question.custom_id in seen:
                return 0, f"line {number}: the custom_id {brief(question.custom_id)} stands there twice"
            if (question.method, question.url) != ("POST", row.endpoint):
                return 0, f"line {number}: it is not POST {row.endpoint}, which the batch is for"
            if number > service.limits.batch_questions:
                return 0, f"there are more than {service.limits.batch_questions} questions"
            seen.add(question.custom_id)
    except _BadLine as error:
        return 0, str(error)
    return len(seen), "" if seen else "there is no question in the file"


def _questions(service: Service, row: BatchRow) -> Iterator[Question]:
    """The questions of the input file, line by line."""
    most = service.limits.json_bytes
    try:
        with service.disk.path(row.input_file_id).open("rb") as file:
            for number in count(1):
                line = file.readline(most + 1)
                if not line:
                    return
                if len(line) > most:
                    raise _BadLine(f"line {number} is longer than {most} bytes")
                if line.strip():
                    yield _question(line, number, service)
    except FileNotFoundError:
        raise _BadLine("the file is gone") from None


def _question(line: bytes, number: int, service: Service) -> Question:
    try:
        return checked(Question, parsed(line, service.limits))
    except HTTPException as error:
        raise _BadLine(f"line {number}: {error.detail}") from None


def _done(service: Service, row: BatchRow) -> dict[str, bool]:
    """Which questions have a line already, by their name, and whether that is an answer."""
    return {
        json.loads(line)["custom_id"]: is_good
        for is_good in (True, False)
        for line in service.disk.whole_lines(_file_id(row, is_good=is_good))
    }


def _write(service: Service, row: BatchRow, answers: Sequence[Answer]) -> None:
    for is_good in (True, False):
        if lines := b"".join(answer.line for answer in answers if answer.is_good is is_good):
            service.disk.append(_file_id(row, is_good=is_good), lines)


def _file_id(row: BatchRow, *, is_good: bool) -> str:
    """Known before there is a file: whoever goes on with the batch goes on with the same ones."""
    return id_of("file-", "answers" if is_good else "refusals", row.id)


class _BadLine(Exception):
    """A line that is no question."""
