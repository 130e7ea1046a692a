"""Scorers of free text by how near it is to the reference. Knows which metric; the metrics are `metrics`' own.

BLEU and chrF are metrics of the whole test: their value is no mean of item values, so it comes from summed counts. All
need the extra `graders`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal

from tunekit.backends.base import Generation
from tunekit.evaluation.items import Item
from tunekit.evaluation.metrics import bleu, text
from tunekit.evaluation.metrics.texts import library
from tunekit.evaluation.results import ItemResult
from tunekit.evaluation.scorers.base import AnswerScorer, Config, Score, reference_of, settings_of
from tunekit.evaluation.scorers.columns import one_of


@dataclass(frozen=True, kw_only=True)
class Bleu(AnswerScorer):
    """BLEU of the whole test, from 0 to 100, as `sacrebleu.corpus_bleu`; of an item, its sentence BLEU.

    Attributes:
        tokenize: How words are parted: "13a", "intl", "char", "zh" or "none". Values with different ones are not
            comparable; for Japanese or Thai take "char", or chrF.
        lowercase: Whether letter case does not count.
        name: Column in the results.

    Raises:
        SpecError: There is no such tokenizer.
        MissingExtraError: sacrebleu is not installed.

    Examples:
        >>> from tunekit.evaluation.items import items_of
        >>> from tunekit.examples import CompletionExample
        >>> (item,) = items_of([CompletionExample(prompt="Say it.", completion="The cat sat on the mat.")])
        >>> Bleu().score(item, Generation(text="The cat sat on the mat.", finish_reason="stop")).value
        100.00000000000004
    """

    tokenize: str = "13a"
    lowercase: bool = False
    name: str = "bleu"
    corpus: str = field(default="bleu", init=False, repr=False)

    def __post_init__(self) -> None:
        one_of(self.tokenize, bleu.TOKENIZERS, "tokenize")
        library("sacrebleu")

    def config(self) -> Config:
        """Type and how words are parted."""
        return settings_of(self)

    def score(self, item: Item, answer: Generation) -> Score:
        """Its n-grams, and its own BLEU."""
        counts = bleu.bleu_counts(
            answer.text, [reference_of(item)], tokenize=self.tokenize, lowercase=self.lowercase
        )
        return Score(value=bleu.sentence_bleu(counts), counts=counts)


@dataclass(frozen=True, kw_only=True)
class Chrf(AnswerScorer):
    """ChrF of the whole test, from 0 to 100, as `sacrebleu.corpus_chrf`: runs of characters, so it serves any language.

    Attributes:
        words: Whether words and pairs of words count, too, which makes it chrF++.
        lowercase: Whether letter case does not count.
        name: Column in the results; "chrf" or "chrf++", unless told.

    Raises:
        MissingExtraError: sacrebleu is not installed.

    Examples:
        >>> Chrf(words=True).name
        'chrf++'
    """

    words: bool = False
    lowercase: bool = False
    name: str = ""
    corpus: str = field(init=False, repr=False)

    def __post_init__(self) -> None:
        library("sacrebleu")
        object.__setattr__(self, "corpus", "chrf++" if self.words else "chrf")
        object.__setattr__(self, "name", self.name or self.corpus)

    def config(self) -> Config:
        """Type, and what counts."""
        return settings_of(self)

    def score(self, item: Item, answer: Generation) -> Score:
        """Its n-grams, and its own value."""
        counts_of, value_of = (
            (bleu.chrf_plus_counts, bleu.chrf_plus) if self.words else (bleu.chrf_counts, bleu.chrf)
        )
        counts = counts_of(answer.text, [reference_of(item)], lowercase=self.lowercase)
        return Score(value=value_of(counts), counts=counts)


@dataclass(frozen=True, kw_only=True)
class Rouge(AnswerScorer):
    """ROUGE by Google's rouge-score, from 0 to 1: the mean over items.

    Attributes:
        kind: "rouge1", "rouge2", "rougeL" (the text as one sentence) or "rougeLsum" (by lines).
        part: "f1", "precision" or "recall".
        stemmer: Whether "cats" is "cat", by Porter's rules for English.
        tokenize: "latin" is the library's own, which knows a to z only; "words" and "char" for other scripts.
        name: Column in the results; such as "rouge_l", or "rouge_l_recall", unless told.

    Raises:
        SpecError: There is no such kind, part or tokenizer, or a stemmer is asked of another than "latin".
        MissingExtraError: rouge-score is not installed.

    Examples:
        >>> Rouge("rouge2").name, Rouge(part="recall").name
        ('rouge_2', 'rouge_l_recall')
    """

    kind: text.Rouge = field(default="rougeL", kw_only=False)
    part: Literal["f1", "precision", "recall"] = "f1"
    stemmer: bool = False
    tokenize: text.Tokenize = "latin"
    name: str = ""

    def __post_init__(self) -> None:
        one_of(self.kind, text.ROUGE, "kind")
        one_of(self.part, ("f1", "precision", "recall"), "part")
        text.rouge(
            "", [""], kinds=[self.kind], stemmer=self.stemmer, tokenize=self.tokenize
        )  # refuses the rest
        suffix = "" if self.part == "f1" else f"_{self.part}"
        object.__setattr__(
            self, "name", self.name or f"rouge_{self.kind.removeprefix('rouge').lower()}{suffix}"
        )

    def config(self) -> Config:
        """Type, kind and how words are parted."""
        return settings_of(self)

    def score(self, item: Item, answer: Generation) -> Score:
        """Its overlap with the reference."""
        found = text.rouge(
            answer.text,
            [reference_of(item)],
            kinds=[self.kind],
            stemmer=self.stemmer,
            tokenize=self.tokenize,
        )
        return Score(value=getattr(found[self.kind], self.part))

    def warnings(self, results: Sequence[ItemResult]) -> Iterator[str]:
        """Of references in letters that "latin" does not read."""
        references = " ".join(result.reference or "" for result in results)
        if self.tokenize == "latin" and (unread := text.rouge_warning(references)) is not None:
            yield unread


@dataclass(frozen=True, kw_only=True)
class Meteor(AnswerScorer):
    """METEOR by nltk, from 0 to 1, for English: the mean over items. Matches words and stems; no synonyms.

    Attributes:
        name: Column in the results.

    Raises:
        MissingExtraError: nltk or sacrebleu is not installed.

    Examples:
        >>> Meteor().config()
        {'type': 'Meteor'}
    """

    name: str = "meteor"

    def __post_init__(self) -> None:
        library("nltk.translate.meteor_score")

    def config(self) -> Config:
        """Type."""
        return settings_of(self)

    def score(self, item: Item, answer: Generation) -> Score:
        """Its nearness to the reference."""
        return Score(value=text.meteor(answer.text, [reference_of(item)]))


@dataclass(frozen=True, kw_only=True)
class EditDistance(AnswerScorer):
    """Fewest characters to insert, delete or replace (Levenshtein), by rapidfuzz: the mean over items. Lower is better.

    Attributes:
        name: Column in the results.

    Raises:
        MissingExtraError: rapidfuzz is not installed.

    Examples:
        >>> EditDistance().higher_is_better
        False
    """

    name: str = "edit_distance"
    higher_is_better: bool = field(default=False, init=False, repr=False)

    def __post_init__(self) -> None:
        library("rapidfuzz.distance")

    def config(self) -> Config:
        """Type."""
        return settings_of(self)

    def score(self, item: Item, answer: Generation) -> Score:
        """Its distance from the reference."""
        return Score(value=float(text.edit_distance(answer.text, [reference_of(item)])))


@dataclass(frozen=True, kw_only=True)
class EditSimilarity(AnswerScorer):
    """1 minus the edit distance as a share of the longer text, by rapidfuzz: the mean over items.

    Attributes:
        name: Column in the results.

    Raises:
        MissingExtraError: rapidfuzz is not installed.

    Examples:
        >>> EditSimilarity().name
        'edit_similarity'
    """

    name: str = "edit_similarity"

    def __post_init__(self) -> None:
        library("rapidfuzz.distance")

    def config(self) -> Config:
        """Type."""
        return settings_of(self)

    def score(self, item: Item, answer: Generation) -> Score:
        """Its likeness to the reference."""
        return Score(value=text.edit_similarity(answer.text, [reference_of(item)]))
