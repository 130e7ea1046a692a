"""BLEU and chrF as functions of summed counts. Knows sacrebleu's statistics, and the two formulas over them.

sacrebleu (the extra `graders`) takes the statistics of each item. The formulas are written out here, in the order of
its arithmetic, so that stored counts give the same number to the last bit, also where it is not installed. Both metrics
run from 0 to 100. A corpus value comes from the summed counts, and is not the mean of the items' values.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Final

from tunekit.data.wording import listed
from tunekit.errors import SpecError
from tunekit.evaluation.metrics.counts import ITEMS, Counts, read
from tunekit.evaluation.metrics.texts import checked, library

TOKENIZERS: Final = ("13a", "intl", "char", "zh", "none")
"""sacrebleu's that need no download. "13a" parts words at spaces and punctuation, "intl" also at that of Unicode, "zh"
parts Chinese characters and leaves other words whole, "char" parts all characters (Japanese, Thai), "none" parts at
spaces what is tokenised already."""

_ORDERS = range(1, 5)
_CHAR_ORDERS, _WORD_ORDERS, _BETA = 6, 2, 2


def bleu_counts(
    answer: str, references: Sequence[str], *, tokenize: str = "13a", lowercase: bool = False
) -> dict[str, float]:
    """Counts of one item for `bleu`.

    Args:
        answer: What the model said.
        references: Texts that would be right; at least one.
        tokenize: One of `TOKENIZERS`. Values with different ones are not comparable.
        lowercase: Whether letter case does not count.

    Raises:
        MissingExtraError: sacrebleu is not installed.
        EvaluationError: A text is too long, or there is no reference.
        SpecError: There is no such tokenizer.

    Examples:
        >>> found = bleu_counts("the cat sat", ["the cat sat down"])
        >>> found["answer_words"], found["reference_words"], found["matches_2"], found["ngrams_2"]
        (3.0, 4.0, 2.0, 2.0)
    """
    checked(answer, references)
    if tokenize not in TOKENIZERS:
        raise SpecError(f"tokenize is {tokenize!r}", hint=f"one of {listed(TOKENIZERS)}")
    metric = library("sacrebleu").BLEU(tokenize=tokenize, lowercase=lowercase, force=True)
    found = metric.corpus_score([answer], [[reference] for reference in references])
    counts = {ITEMS: 1.0, "answer_words": float(found.sys_len), "reference_words": float(found.ref_len)}
    for order in _ORDERS:
        counts[f"matches_{order}"] = float(found.counts[order - 1])
        counts[f"ngrams_{order}"] = float(found.totals[order - 1])
    return {name: number for name, number in counts.items() if number}


def bleu(counts: Counts) -> float:
    """BLEU of a corpus, as `sacrebleu.corpus_bleu`: four orders, exponential smoothing.

    Source: Papineni et al. 2002; smoothing as in NIST's mteval-v13a.
    """
    return _bleu(counts, effective_order=False)


def sentence_bleu(counts: Counts) -> float:
    """BLEU of one item, as `sacrebleu.sentence_bleu`: orders that a short answer has no words for are left out."""
    return _bleu(counts, effective_order=True)


def _bleu(counts: Counts, *, effective_order: bool) -> float:
    read(counts, ITEMS)
    matches = [counts.get(f"matches_{order}", 0.0) for order in _ORDERS]
    totals = [counts.get(f"ngrams_{order}", 0.0) for order in _ORDERS]
    if not any(matches):
        return 0.0
    precisions = _precisions(matches, totals)
    orders = len(precisions) if effective_order else len(_ORDERS)
    if len(precisions) < orders:
        return 0.0
    return _brevity(counts) * math.exp(sum(map(math.log, precisions)) / orders)


def _precisions(matches: Sequence[float], totals: Sequence[float]) -> list[float]:
    """In per cent, of the orders that there are words for; an order without a match counts half of the one before."""
    precisions, smoothing = [], 1.0
    for match, total in zip(matches, totals, strict=True):
        if total == 0:
            break
        if match == 0:
            smoothing *= 2
            precisions.append(100.0 / (smoothing * total))
        else:
            precisions.append(100.0 * match / total)
    return precisions


def _brevity(counts: Counts) -> float:
    words, wanted = counts.get("answer_words", 0.0), counts.get("reference_words", 0.0)
    return math.exp(1 - wanted / words) if words < wanted else 1.0


def chrf_counts(answer: str, references: Sequence[str], *, lowercase: bool = False) -> dict[str, float]:
    """Counts of one item for `chrf`. It needs no words, so it serves every language. Arguments as for `bleu_counts`.

    Raises:
        MissingExtraError: sacrebleu is not installed.
        EvaluationError: A text is too long, or there is no reference.
    """
    return _chrf_counts(answer, references, word_orders=0, lowercase=lowercase)


def chrf_plus_counts(answer: str, references: Sequence[str], *, lowercase: bool = False) -> dict[str, float]:
    """Counts of one item for `chrf_plus`. Arguments and errors as for `chrf_counts`."""
    return _chrf_counts(answer, references, word_orders=_WORD_ORDERS, lowercase=lowercase)


def _chrf_counts(
    answer: str, references: Sequence[str], *, word_orders: int, lowercase: bool
) -> dict[str, float]:
    checked(answer, references)
    metric: Any = library("sacrebleu").CHRF(word_order=word_orders, lowercase=lowercase)
    # Its results show a value and no statistics. This is what its corpus_score sums; a test holds the two together.
    (statistics,) = metric._extract_corpus_statistics([answer], [[reference] for reference in references])
    names = [
        f"{side}_{order}"
        for order in range(1, _CHAR_ORDERS + word_orders + 1)
        for side in ("answer", "reference", "both")
    ]
    counts = {ITEMS: 1.0, **dict(zip(names, map(float, statistics), strict=True))}
    return {name: number for name, number in counts.items() if number}


def chrf(counts: Counts) -> float:
    """ChrF of a corpus or of one item, as `sacrebleu.corpus_chrf`: characters in runs of up to six, beta 2.

    Source: Popović 2015, https://aclanthology.org/W15-3049.
    """
    return _chrf(counts, _CHAR_ORDERS)


def chrf_plus(counts: Counts) -> float:
    """ChrF++ of a corpus or of one item: chrF with words and pairs of words, as `corpus_chrf(..., word_order=2)`."""
    return _chrf(counts, _CHAR_ORDERS + _WORD_ORDERS)


def _chrf(counts: Counts, orders: int) -> float:
    read(counts, ITEMS)
    precision = recall = 0.0
    usable = 0
    for order in range(1, orders + 1):
        said, wanted = counts.get(f"answer_{order}", 0.0), counts.get(f"reference_{order}", 0.0)
        if said > 0 and wanted > 0:
            both = counts.get(f"both_{order}", 0.0)
            precision, recall, usable = precision + both / said, recall + both / wanted, usable + 1
    if not usable or not precision + recall:
        return 0.0
    precision, recall = precision / usable, recall / usable
    factor = _BETA**2
    # Not divided in one expression: sacrebleu does not, and the last bit would differ.
    score = (1 + factor) * precision * recall
    score /= (factor * precision) + recall
    return 100 * score
