"""Scorer of texts by their embeddings: near in meaning, whatever the words. Knows vectors; not what makes them."""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from tunekit.backends.base import Backend, Generation
from tunekit.errors import BackendError
from tunekit.evaluation.items import Item
from tunekit.evaluation.scorers.asking_judges import called
from tunekit.evaluation.scorers.base import AnswerScorer, Config, Score, reference_of
from tunekit.inference import embed_async
from tunekit.refs import ModelRef

Embed: TypeAlias = Callable[[Sequence[str]], Awaitable[Sequence[Sequence[float]]]]
"""An async function from texts to vectors, one for each, all of one length."""


@dataclass(frozen=True, kw_only=True)
class EmbeddingSimilarity(AnswerScorer):
    """Cosine of the embeddings of answer and reference, from -1 to 1: the mean over items.

    What counts as near is the embedding model's opinion: values of different models are not comparable, and texts that
    say the opposite can be near. An empty answer has no meaning to be near to, and gets 0.

    Attributes:
        embed: What embeds: a reference such as `"local:sentence-transformers/all-MiniLM-L6-v2"`, or an async function
            from texts to vectors.
        backend: A configured instance to ask, for a model by name.
        name: Column in the results.

    Raises:
        RefError: `embed` is text, but not a reference.

    Examples:
        >>> import asyncio
        >>> from tunekit.evaluation.items import items_of
        >>> from tunekit.examples import CompletionExample
        >>> (item,) = items_of([CompletionExample(prompt="Team?", completion="delivery")])
        >>> async def letters(texts):
        ...     return [[float(text.count(letter)) for letter in "deilrvy"] for text in texts]
        >>> scorer = EmbeddingSimilarity(letters)
        >>> score = asyncio.run(scorer.score(item, Generation(text="delivered", finish_reason="stop")))
        >>> round(score.value, 3)
        0.92
    """

    embed: str | Embed = field(kw_only=False)
    backend: Backend | None = field(default=None, repr=False, compare=False)
    name: str = "embedding_similarity"

    def __post_init__(self) -> None:
        if isinstance(self.embed, str):
            ModelRef(self.embed)  # refuses what is none

    def config(self) -> Config:
        """Type and what embeds."""
        return {"type": "EmbeddingSimilarity", "embed": called(self.embed)}

    async def score(self, item: Item, answer: Generation) -> Score:
        """How near it is to the reference."""
        reference = reference_of(item)
        if not answer.text.strip():
            return Score(value=0.0)
        return Score(value=_cosine(*await self._vectors((answer.text, reference))))

    async def _vectors(self, texts: tuple[str, str]) -> tuple[Sequence[float], Sequence[float]]:
        if isinstance(self.embed, str):
            vectors: Sequence[Sequence[float]] = await embed_async(self.embed, texts, backend=self.backend)
        else:
            vectors = await self.embed(texts)
        if len(vectors) != 2 or len(vectors[0]) != len(vectors[1]):
            raise BackendError(
                f"{len(vectors)} vectors for 2 texts, or of different lengths",
                hint="embed must give one vector for each text, all of one length",
            )
        return vectors[0], vectors[1]


def _cosine(one: Sequence[float], other: Sequence[float]) -> float:
    norm = math.hypot(*one) * math.hypot(*other)
    if not 0.0 < norm < math.inf:
        raise BackendError("an embedding is zero or not finite", hint="look at the embedding model")
    cosine = math.fsum(mine * its for mine, its in zip(one, other, strict=True)) / norm
    return max(-1.0, min(1.0, cosine))
