"""The nearest class by embeddings: what a model that cannot generate knows before training. Knows vectors; fits none.

Each class is the mean of the vectors of its examples, or the vector of its name; a question gets the class whose vector
has the smallest angle to its own. With examples this is the nearest class mean (Mensink et al. 2013, IEEE TPAMI
35:2624), on vectors of length 1. It is the least that a probe or a tuned encoder must beat.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from operator import mul
from typing import ClassVar, NoReturn

from tunekit._canonical import canonical_json, fingerprint
from tunekit.backends.base import (
    Backend,
    EventPage,
    GenerateRequest,
    Generation,
    Snapshot,
    SubmitRequest,
)
from tunekit.backends.capabilities import Capabilities
from tunekit.data.arguments import whole
from tunekit.data.splitting.ranks import rank
from tunekit.data.wording import brief
from tunekit.errors import EvaluationError, SpecError, UnsupportedError
from tunekit.evaluation.arms.demonstrations import same_question
from tunekit.evaluation.arms.templates import as_text
from tunekit.evaluation.items import Item, items_of
from tunekit.examples import Example
from tunekit.spec import Sampling

_AT_ONCE = 256
Vector = tuple[float, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Prototypes:
    """The texts that stand for each class.

    Attributes:
        pairs: Text and class.
        k: Texts of a class that are used, drawn by the seed; None uses all.
        seed: Another seed draws others.
        are_examples: Whether they are training rows, of which those that ask what the test asks are left out.
    """

    pairs: tuple[tuple[str, str], ...] = field(repr=False)
    k: int | None = None
    seed: int = 0
    are_examples: bool = False

    def __post_init__(self) -> None:
        if self.k is not None:
            whole("k", self.k, least=1)
        if len(classes := {name for _, name in self.pairs}) < 2:
            raise SpecError(f"{len(classes)} classes leave nothing to tell", hint="pass two or more")

    @property
    def hash(self) -> str:
        """Of the texts, their classes, and how they are drawn."""
        return fingerprint([self.k, self.seed, self.pairs])

    def texts(self, items: Sequence[Item]) -> dict[str, list[str]]:
        """By class, the texts that stand for it.

        Raises:
            SpecError: All examples of a class are questions of the test.
        """
        tested = {same_question(as_text(item.prompt)) for item in items} if self.are_examples else set()
        found: dict[str, list[str]] = {name: [] for _, name in self.pairs}
        for text, name in sorted(self.pairs, key=self._rank):
            if same_question(text) not in tested and (self.k is None or len(found[name]) < self.k):
                found[name].append(text)
        empty = next((name for name, texts in found.items() if not texts), None)
        if empty is not None:
            raise SpecError(
                f"all examples of class {brief(empty)} are questions of the test",
                hint="pass examples of the training part",
            )
        return found

    def _rank(self, pair: tuple[str, str]) -> bytes:
        return rank(self.seed, "nearest", canonical_json(pair))


class NearestBackend(Backend):
    """A backend that embeds, as one whose only verb is `generate`: it answers with the nearest class.

    Args:
        embedder: Makes the vectors.
        texts: By class, the texts that stand for it.
    """

    name: ClassVar[str] = "nearest"
    capabilities: ClassVar[Capabilities] = Capabilities(methods=frozenset(), verbs=frozenset({"generate"}))

    def __init__(self, embedder: Backend, texts: Mapping[str, Sequence[str]]) -> None:
        self._embedder = embedder
        self._texts = texts
        self._means: dict[str, Vector] = {}
        self._turn = asyncio.Lock()

    async def submit(self, request: SubmitRequest) -> str:
        """Not supported."""
        self._unsupported("submit")

    async def snapshot(self, job_id: str) -> Snapshot:
        """Not supported."""
        self._unsupported("snapshot")

    async def events(self, job_id: str, cursor: str | None) -> EventPage:
        """Not supported."""
        self._unsupported("events")

    async def generate(
        self, model: str, requests: Sequence[GenerateRequest], sampling: Sampling
    ) -> list[Generation]:
        """The nearest class to each prompt; of equally near ones the first in the alphabet."""
        async with self._turn:  # the classes are embedded once
            if not self._means:
                self._means = await self._class_means(model)
        vectors = await self._embedder.embed(model, [as_text(request.prompt) for request in requests])
        return [Generation(text=self._nearest(unit(vector)), finish_reason="stop") for vector in vectors]

    def _nearest(self, vector: Vector) -> str:
        return max(sorted(self._means), key=lambda name: sum(map(mul, vector, self._means[name])))

    async def _class_means(self, model: str) -> dict[str, Vector]:
        texts = [text for each in self._texts.values() for text in each]
        vectors: list[Vector] = []
        for start in range(0, len(texts), _AT_ONCE):
            found = await self._embedder.embed(model, texts[start : start + _AT_ONCE])
            vectors += map(unit, found)
        left = iter(vectors)
        return {name: unit(mean([next(left) for _ in each])) for name, each in self._texts.items()}

    def _unsupported(self, verb: str) -> NoReturn:
        raise UnsupportedError(
            f"the nearest class cannot {verb}",
            hint="score the class that it answers with, for example with ExactMatch",
            backend=self.name,
        )


def named_classes(classes: Iterable[str] | Mapping[str, str]) -> Prototypes:
    """Classes by their names, or by a text that describes each."""
    described = classes if isinstance(classes, Mapping) else {name: name for name in classes}
    return Prototypes(pairs=tuple((text, name) for name, text in described.items()))


def shown_classes(examples: Iterable[Example], k: int | None, seed: int) -> Prototypes:
    """Classes by training rows: their questions and answers.

    Raises:
        SpecError: A row has no answer.
    """
    pairs = []
    for item in items_of(examples):
        if item.reference is None:
            raise SpecError(f"example {brief(item.id)} has no class", hint="take it out of the examples")
        pairs.append((as_text(item.prompt), item.reference))
    return Prototypes(pairs=tuple(pairs), k=k, seed=seed, are_examples=True)


def unit(vector: Sequence[float]) -> Vector:
    """The vector at length 1.

    Raises:
        EvaluationError: It has no direction: it is zero, or not finite.
    """
    length = math.hypot(*vector)
    if not 0.0 < length < math.inf:
        raise EvaluationError(
            f"a vector of length {length:g} is near to nothing", hint="the model's weights may be damaged"
        )
    return tuple(value / length for value in vector)


def mean(vectors: Sequence[Vector]) -> Vector:
    """Their mean, value by value."""
    return tuple(math.fsum(values) / len(vectors) for values in zip(*vectors, strict=True))
