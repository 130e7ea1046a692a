"""ROUGE, METEOR and edit distance of one answer. Knows texts, and the libraries of the extra `graders`.

Each is a score of an item, whose mean over items is the metric. For BLEU and chrF, which are no means, see `bleu`.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from tunekit.data.wording import brief, listed
from tunekit.errors import EvaluationError, SpecError
from tunekit.evaluation.metrics.texts import checked, library

Rouge: TypeAlias = Literal["rouge1", "rouge2", "rougeL", "rougeLsum"]
Tokenize: TypeAlias = Literal["latin", "words", "char"]

ROUGE: tuple[Rouge, ...] = ("rouge1", "rouge2", "rougeL", "rougeLsum")
_MAX_PAIRS = 4_000_000
"""Of a word of the answer and a word of the reference: what ROUGE-L and METEOR make a table of, in Python."""
_WORDS_AND_SIGNS = re.compile(r"[^\W_]+|\S")
"""At least as many as METEOR's words, which are parted at some signs only."""
_MUCH_DROPPED = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class Overlap:
    """How much two texts share.

    Attributes:
        precision: As a share of the answer.
        recall: As a share of the reference.
        f1: Harmonic mean of the two.
    """

    precision: float
    recall: float
    f1: float


@dataclass(frozen=True, slots=True)
class _Tokenizer:
    """What rouge-score asks for."""

    tokenize: Callable[[str], list[str]]


def rouge(
    answer: str,
    references: Sequence[str],
    *,
    kinds: Sequence[Rouge] = ROUGE,
    stemmer: bool = False,
    tokenize: Tokenize = "latin",
) -> dict[Rouge, Overlap]:
    """ROUGE of one item by Google's rouge-score; of several references the closest, for each kind.

    Source: Lin 2004. "rougeL" is of the whole text as one sentence, "rougeLsum" of its lines.

    Args:
        answer: What the model said.
        references: Texts that would be right; at least one.
        kinds: Which.
        stemmer: Whether "cats" is "cat", by Porter's rules for English; with "latin" only.
        tokenize: "latin" is the library's own and what published numbers use: it knows a to z and 0 to 9, and drops
            all else, so that Chinese scores 0 and "é" parts words (see `rouge_warning`). "words" takes runs of letters
            and digits of any script; "char" takes each of them, for languages without spaces. Numbers with one are not
            comparable to those with another.

    Raises:
        MissingExtraError: rouge-score is not installed.
        EvaluationError: The texts are too long, or there is no reference.
        SpecError: There is no such kind or tokenizer, or a stemmer is asked of another than "latin".

    Examples:
        >>> rouge("the cat sat on the mat", ["the cat is on the mat"])["rouge2"].f1
        0.6
        >>> rouge("猫在垫子上", ["猫在垫子上"], tokenize="latin", kinds=["rouge1"])["rouge1"].f1
        0.0
        >>> rouge("猫在垫子上", ["猫在垫子上"], tokenize="char", kinds=["rouge1"])["rouge1"].f1
        1.0
    """
    checked(answer, references)
    if not set(kinds) <= set(ROUGE):
        raise SpecError(f"kinds are {brief(list(kinds))}", hint=f"some of {listed(ROUGE)}")
    if tokenize not in _TOKENIZERS or (stemmer and tokenize != "latin"):
        raise SpecError(
            f"tokenize is {tokenize!r} with stemmer={stemmer}",
            hint='one of "latin", "words" and "char"; a stemmer with "latin" only',
        )
    _check_pairs(answer, references, _TOKENIZERS[tokenize])
    own = None if tokenize == "latin" else _Tokenizer(_TOKENIZERS[tokenize])
    scorer = library("rouge_score.rouge_scorer").RougeScorer(list(kinds), use_stemmer=stemmer, tokenizer=own)
    found = scorer.score_multi(list(references), answer)
    return {
        kind: Overlap(
            precision=float(found[kind].precision),
            recall=float(found[kind].recall),
            f1=float(found[kind].fmeasure),
        )
        for kind in kinds
    }


def rouge_warning(text: str) -> str | None:
    """What to know before believing ROUGE of a text with its "latin" tokenizer; None where that reads nearly all.

    Args:
        text: A reference, or some of them joined.

    Examples:
        >>> rouge_warning("猫在垫子上")
        'ROUGE drops 100 % of the letters here, for it knows a to z only: tokenize="char" or "words", or use chrF'
        >>> rouge_warning("The cat sat.")
    """
    letters = [letter for letter in text.lower() if letter.isalnum()]
    dropped = sum(not letter.isascii() for letter in letters)
    if dropped <= _MUCH_DROPPED * len(letters):
        return None
    return (
        f"ROUGE drops {100 * dropped / len(letters):.0f} % of the letters here, for it knows a to z only:"
        ' tokenize="char" or "words", or use chrF'
    )


def meteor(answer: str, references: Sequence[str]) -> float:
    """METEOR of one item, as the `text_similarity` grader computes it; of several references the closest.

    Source: Banerjee and Lavie 2005, by nltk over words as in BLEU ("13a"): English, matched by word and by stem.
    Synonyms need a WordNet beside the library, so they are left out: values are a bit below published ones.

    Raises:
        MissingExtraError: nltk or sacrebleu is not installed.
        EvaluationError: The texts are too long, or there is no reference.

    Examples:
        >>> round(meteor("the cat sat on the mat", ["the cat is on the mat"]), 4)
        0.8067
    """
    from tunekit.graders.metrics import metric_of

    checked(answer, references)
    _check_pairs(answer, references, _WORDS_AND_SIGNS.findall)
    measure = metric_of("meteor")
    return max(measure(answer, reference) for reference in references)


def edit_distance(answer: str, references: Sequence[str]) -> int:
    """Fewest characters to insert, delete or replace (Levenshtein), by rapidfuzz; to the closest reference.

    Lower is better.

    Raises:
        MissingExtraError: rapidfuzz is not installed.
        EvaluationError: A text is too long, or there is no reference.

    Examples:
        >>> edit_distance("kitten", ["sitting"])
        3
    """
    checked(answer, references)
    levenshtein = library("rapidfuzz.distance").Levenshtein
    return min(int(levenshtein.distance(answer, reference)) for reference in references)


def edit_similarity(answer: str, references: Sequence[str]) -> float:
    """1 minus the edit distance as a share of the longer text; to the closest reference. Two empty texts are alike.

    Raises:
        MissingExtraError: rapidfuzz is not installed.
        EvaluationError: A text is too long, or there is no reference.

    Examples:
        >>> edit_similarity("abcd", ["abXd"])
        0.75
    """
    checked(answer, references)
    levenshtein = library("rapidfuzz.distance").Levenshtein
    return max(float(levenshtein.normalized_similarity(answer, reference)) for reference in references)


def _check_pairs(answer: str, references: Sequence[str], split: Callable[[str], list[str]]) -> None:
    said = len(split(answer))
    pairs = said * max(len(split(reference)) for reference in references)
    if pairs > _MAX_PAIRS:
        raise EvaluationError(
            f"{pairs:,} pairs of words are too many for this metric, which takes {_MAX_PAIRS:,}",
            hint="use BLEU or chrF for long texts, or score a part of them",
        )


def _runs(text: str, keep: Callable[[str], bool]) -> list[str]:
    return "".join(letter if keep(letter) else " " for letter in text.lower()).split()


def _latin(text: str) -> list[str]:
    """As many as the library's own tokens; those are not made here."""
    return _runs(text, lambda letter: letter.isascii() and letter.isalnum())


def _words(text: str) -> list[str]:
    return _runs(text, _is_part_of_a_word)


def _chars(text: str) -> list[str]:
    return [letter for word in _words(text) for letter in word]


def _is_part_of_a_word(letter: str) -> bool:
    # Marks (M) are vowels in Indian scripts, and belong to the word.
    return unicodedata.category(letter)[0] in "LNM"


_TOKENIZERS: Mapping[str, Callable[[str], list[str]]] = {"latin": _latin, "words": _words, "char": _chars}
