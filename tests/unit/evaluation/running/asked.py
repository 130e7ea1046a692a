"""A host that counts what it answers, for tests of what is asked again."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from tunekit.backends.base import GenerateRequest, Generation, ScoreRequest, Scores
from tunekit.data.dataset import Dataset
from tunekit.errors import UnsupportedError
from tunekit.events import Usage
from tunekit.spec import Sampling
from tunekit.testing import ScriptedBackend


class Counting(ScriptedBackend):
    """Answers with the number in the prompt; stops answering after so many.

    Args:
        stops_after: Answers after which there are no more.
        place: Where it is.
    """

    def __init__(self, *, stops_after: int = 10**9, place: str = "", says: str = "", **options: Any) -> None:
        super().__init__(generate=lambda prompt: "", score=lambda prompt, choice: 0.0, **options)
        self.place, self._stops_after, self._says = place, stops_after, says
        self.answered: Counter[str] = Counter()

    async def generate(
        self, model: str, requests: Sequence[GenerateRequest], sampling: Sampling
    ) -> list[Generation]:
        return [self._answer(str(request.prompt)) for request in requests]

    async def score(self, model: str, requests: Sequence[ScoreRequest]) -> list[Scores]:
        return [self._weighed(request) for request in requests]

    def _answer(self, prompt: str) -> Generation:
        self._count(prompt)
        usage = Usage(input_tokens=7, output_tokens=3, seconds=0.25)
        return Generation(text=self._says or prompt.split()[-1], finish_reason="stop", usage=usage)

    def _weighed(self, request: ScoreRequest) -> Scores:
        self._count(str(request.prompt))
        right = str(request.prompt).split()[-1]
        return Scores(
            log_probs=tuple(-0.5 if choice == right else -3.0 for choice in request.choices),
            tokens=tuple(2 for _ in request.choices),
        )

    def _count(self, prompt: str) -> None:
        if self.answered.total() >= self._stops_after:
            raise UnsupportedError("this account answers no more", hint="pay the bill")
        self.answered[prompt] += 1


def numbers(n: int) -> Dataset:
    """Questions whose answer is their last word; every second one of a `Counting` host's answers is right."""
    return Dataset.from_records(
        [{"prompt": f"say {at}", "completion": str(at) if at % 2 else "nothing"} for at in range(n)]
    )
