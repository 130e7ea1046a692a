"""A backend for evaluation tests: answers from a table, fails where told, and remembers what it was asked."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar

from tunekit.backends.base import (
    Backend,
    EventPage,
    GenerateRequest,
    Generation,
    ScoreRequest,
    Scores,
    Snapshot,
    SubmitRequest,
)
from tunekit.backends.capabilities import Capabilities
from tunekit.data.dataset import Dataset
from tunekit.errors import BackendError, NotFoundError
from tunekit.events import Usage
from tunekit.spec import Sampling


@dataclass
class TableBackend(Backend):
    """Answers each prompt with `models[model](prompt)`; an answer that is an exception is raised for its batch."""

    name: ClassVar[str] = "table"
    capabilities: ClassVar[Capabilities] = Capabilities(
        methods=frozenset(), verbs=frozenset({"generate", "score"})
    )

    models: Mapping[str, Callable[[str], str | Exception]]
    finish_reason: str = "stop"
    finish_reasons: Mapping[str, str] = field(default_factory=dict)
    notes: Mapping[str, str] = field(default_factory=dict)
    asked: list[tuple[str, tuple[GenerateRequest | ScoreRequest, ...]]] = field(default_factory=list)
    in_flight: int = 0
    most_in_flight: int = 0

    async def submit(self, request: SubmitRequest) -> str:
        raise NotImplementedError

    async def snapshot(self, job_id: str) -> Snapshot:
        raise NotImplementedError

    async def events(self, job_id: str, cursor: str | None) -> EventPage:
        raise NotImplementedError

    async def generate(
        self, model: str, requests: Sequence[GenerateRequest], sampling: Sampling
    ) -> list[Generation]:
        usage = Usage(input_tokens=2, output_tokens=3)
        answers = await self._answers(model, requests)
        return [
            Generation(
                text=text,
                finish_reason=self.finish_reasons.get(str(request.prompt), self.finish_reason),
                usage=usage,
                note=self.notes.get(str(request.prompt), ""),
            )
            for request, text in zip(requests, answers, strict=True)
        ]

    async def score(self, model: str, requests: Sequence[ScoreRequest]) -> list[Scores]:
        answers = await self._answers(model, requests)
        return [
            Scores(
                log_probs=tuple(-0.5 if choice == answer else -3.0 for choice in request.choices),
                tokens=tuple(2 for _ in request.choices),
            )
            for request, answer in zip(requests, answers, strict=True)
        ]

    async def _answers(
        self, model: str, requests: Sequence[GenerateRequest] | Sequence[ScoreRequest]
    ) -> list[str]:
        if model not in self.models:
            raise NotFoundError(f"no model {model!r}", hint="train one")
        self.asked.append((model, tuple(requests)))
        self.in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        await asyncio.sleep(0)
        self.in_flight -= 1
        found = [self.models[model](str(request.prompt)) for request in requests]
        for answer in found:
            if isinstance(answer, Exception):
                raise answer
        return [str(answer) for answer in found]


def tickets(count: int) -> Dataset:
    """`count` prompts "q0", "q1", ...; the even ones are "billing", the odd ones "delivery"."""
    return Dataset.from_records(
        [{"prompt": f"q{number}", "completion": truth(f"q{number}")} for number in range(count)],
        name="tickets",
    )


def truth(prompt: str) -> str:
    return "delivery" if int(prompt[1:]) % 2 else "billing"


def wrong(prompt: str) -> str:
    return "billing" if truth(prompt) == "delivery" else "delivery"


def right_on(numbers: range | set[int]) -> Callable[[str], str]:
    """A model that is right on these prompts only."""
    return lambda prompt: truth(prompt) if int(prompt[1:]) in numbers else wrong(prompt)


def failing_on(numbers: range | set[int], model: Callable[[str], str]) -> Callable[[str], str | Exception]:
    """The same model on a bad day: these prompts cannot be answered."""
    return lambda prompt: BackendError(f"{prompt} refused") if int(prompt[1:]) in numbers else model(prompt)
