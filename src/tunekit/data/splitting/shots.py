"""Which examples to show a model in its prompt: at random, of every class, or alike. Knows no model and no template."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Literal, TypeAlias

from tunekit.data.arguments import whole
from tunekit.data.classes import targets
from tunekit.data.splitting.ranks import input_key, rank
from tunekit.data.views import input_text
from tunekit.data.wording import counted
from tunekit.errors import SpecError
from tunekit.examples import Example

Selection: TypeAlias = Literal["random", "stratified", "similar"] | Callable[[Example, Example], float]
_WORD = re.compile(r"\w+")


class Shots:
    """Picks examples to show before a question: from these rows only, and never one with the question's own input.

    Args:
        examples: Where they are picked from: the training part.
        k: How many.
        selection: `"random"`: the same for every question, by the seed. `"stratified"`: as random, with every class
            as often as the others, as far as k goes. `"similar"`: those whose words are most like the question's
            (cosine of TF-IDF weights; Salton and Buckley 1988), the most alike last, next to the question. A function
            of question and example ranks by what it gives, for example the similarity of embeddings.
        seed: Another seed picks others.

    Raises:
        SpecError: There are fewer than `k` rows, or an argument is wrong.

    Examples:
        >>> import tunekit as tk
        >>> rows = [("late parcel", "delivery"), ("wrong bill", "money")]
        >>> examples = [tk.CompletionExample(prompt=prompt, completion=answer) for prompt, answer in rows]
        >>> shots = Shots(examples, k=1, selection="similar")
        >>> shots.of(tk.CompletionExample(prompt="my parcel?", completion=""))[0].completion
        'delivery'
    """

    def __init__(
        self, examples: Sequence[Example], k: int, selection: Selection = "random", seed: int = 0
    ) -> None:
        if not callable(selection) and selection not in ("random", "stratified", "similar"):
            raise SpecError(
                f"selection is {selection!r}", hint="use 'random', 'stratified', 'similar' or a function"
            )
        self._k = whole("k", k, least=1)
        if len(examples) < self._k:
            raise SpecError(
                f"{counted(k, 'shot')} of {counted(len(examples), 'row')}",
                hint="use fewer shots, or more rows",
            )
        self._examples = examples
        self._keys = [input_key(example) for example in examples]
        self._selection = selection
        order = sorted(range(len(examples)), key=lambda at: (rank(seed, "shots", self._keys[at]), at))
        self._order = _class_by_class(examples, order) if selection == "stratified" else order
        self._words = (
            _TfIdf([input_text(example) for example in examples]) if selection == "similar" else None
        )

    def of(self, question: Example) -> list[Example]:
        """The examples to show before this question, in the order to show them."""
        key = input_key(question)
        allowed = [at for at in self._order if self._keys[at] != key]
        if self._words is not None or callable(self._selection):
            scores = self._scores(question)
            best = sorted(allowed, key=lambda at: -scores[at])[: self._k]  # stable: ties by the seed's order
            return [self._examples[at] for at in reversed(best)]
        return [self._examples[at] for at in allowed[: self._k]]

    def _scores(self, question: Example) -> Sequence[float]:
        if callable(self._selection):
            return [self._selection(question, example) for example in self._examples]
        assert self._words is not None
        return self._words.scores(input_text(question))


def _class_by_class(examples: Sequence[Example], order: Sequence[int]) -> list[int]:
    """The same order, dealt out one of each class at a time."""
    classes = targets.classes(examples)
    if classes is None:
        raise SpecError(
            "selection='stratified' needs classes, and these answers are none",
            hint="use 'random' or 'similar', or rows with labels",
        )
    seen: Counter[str] = Counter()
    turns = []
    for place, at in enumerate(order):
        turns.append((seen[classes[at]], place, at))
        seen[classes[at]] += 1
    return [at for _, _, at in sorted(turns)]


class _TfIdf:
    """Cosine similarity of word weights, through an index from words to rows."""

    def __init__(self, texts: Sequence[str]) -> None:
        counts = [Counter(_WORD.findall(text.casefold())) for text in texts]
        rows_with = Counter(word for count in counts for word in count)
        self._rows = len(texts)
        self._idf = {word: math.log((1 + len(texts)) / (1 + n)) + 1 for word, n in rows_with.items()}
        self._index: dict[str, list[tuple[int, float]]] = {}
        for row, count in enumerate(counts):
            for word, weight in self._weights(count).items():
                self._index.setdefault(word, []).append((row, weight))

    def scores(self, text: str) -> list[float]:
        """The cosine of this text with each row's."""
        found = [0.0] * self._rows
        for word, weight in self._weights(Counter(_WORD.findall(text.casefold()))).items():
            for row, other in self._index[word]:
                found[row] += weight * other
        return found

    def _weights(self, count: Counter[str]) -> dict[str, float]:
        weights = {word: n * self._idf[word] for word, n in count.items() if word in self._idf}
        norm = math.sqrt(sum(weight * weight for weight in weights.values())) or 1.0
        return {word: weight / norm for word, weight in weights.items()}
