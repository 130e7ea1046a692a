"""The measures of `text_similarity`, each from a maintained library. Knows which library and which settings.

OpenAI names the measures and not their settings; ours are the libraries' defaults where they have any, and said here
where they have none. A library is imported when a grader that needs it is made, so that its absence is said then.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from importlib import import_module
from types import ModuleType
from typing import Any, TypeAlias

from tunekit.errors import MissingExtraError, UnsupportedError
from tunekit.graders.flags import Unreadable

Metric: TypeAlias = Callable[[str, str], float]
"""Of a text and its reference."""

Embed: TypeAlias = Callable[[Sequence[str]], Sequence[Sequence[float]]]
"""One vector per text, all of one length."""

NAMES = (
    "fuzzy_match",
    "bleu",
    "gleu",
    "meteor",
    "cosine",
    "rouge_1",
    "rouge_2",
    "rouge_3",
    "rouge_4",
    "rouge_5",
    "rouge_l",
)


def metric_of(name: str, embed: Embed | None = None) -> Metric:
    """The measure of a name.

    Args:
        name: One of `NAMES`.
        embed: Embeds texts, for "cosine".

    Raises:
        MissingExtraError: Its library is not installed.
        UnsupportedError: "cosine" without `embed`.

    Examples:
        >>> metric_of("cosine", embed=lambda texts: [[1.0, 0.0], [1.0, 1.0]])("a", "b")
        0.7071067811865475
    """
    match name:
        case "fuzzy_match":
            return _fuzzy_match()
        case "bleu":
            return _bleu()
        case "gleu":
            return _gleu()
        case "meteor":
            return _meteor()
        case "cosine":
            return _cosine(embed)
        case "rouge_l":
            return _rouge_l()
        case _:
            return _rouge(name)


def _fuzzy_match() -> Metric:
    """Rapidfuzz's WRatio without case and punctuation: the one call of it that OpenAI's guide on graders shows."""
    fuzz, utils = _library("rapidfuzz.fuzz"), _library("rapidfuzz.utils")

    def fuzzy_match(text: str, reference: str) -> float:
        return float(fuzz.WRatio(text, reference, processor=utils.default_process)) / 100.0

    return fuzzy_match


def _bleu() -> Metric:
    """Sacrebleu's BLEU of a sentence: 13a tokens, exponential smoothing, effective order. As a share, not of 100."""
    sacrebleu = _library("sacrebleu")

    def bleu(text: str, reference: str) -> float:
        return float(sacrebleu.sentence_bleu(text, [reference]).score) / 100.0

    return bleu


def _gleu() -> Metric:
    """Google's BLEU (Wu et al. 2016, arXiv 1609.08144, section 7.1), from nltk, over 13a tokens as for BLEU."""
    gleu_score, words = _library("nltk.translate.gleu_score"), _words()

    def gleu(text: str, reference: str) -> float:
        return float(gleu_score.sentence_gleu([words(reference)], words(text)))

    return gleu


def _meteor() -> Metric:
    """METEOR (Banerjee and Lavie 2005) from nltk, over 13a tokens, with matches of words and of their stems.

    Its third kind of match, by synonym, needs a WordNet beside the library. It is left out, so that a grade does not
    depend on what somebody has downloaded to a machine.
    """
    meteor_score, words = _library("nltk.translate.meteor_score"), _words()

    def meteor(text: str, reference: str) -> float:
        return float(meteor_score.meteor_score([words(reference)], words(text), wordnet=_NoSynonyms()))

    return meteor


class _NoSynonyms:
    """As much of nltk's WordNet as METEOR asks for."""

    def synsets(self, word: str) -> list[Any]:
        return []


def _rouge(name: str) -> Metric:
    """F-measure of ROUGE (Lin 2004) from Google's rouge-score, without stemming, as is its default."""
    measure = "rouge" + name.removeprefix("rouge_")
    scorer = _library("rouge_score.rouge_scorer").RougeScorer([measure])

    def rouge(text: str, reference: str) -> float:
        return float(scorer.score(reference, text)[measure].fmeasure)

    return rouge


def _rouge_l() -> Metric:
    """As `_rouge`, over the longest common subsequence of words.

    Google's scorer makes a table of all pairs of words for it: 1.6 GB for two texts of 8,000. The words are its own
    here, and the length is Rapidfuzz's, in the memory of the texts themselves.
    """
    tokens = _library("rouge_score.tokenizers").DefaultTokenizer(use_stemmer=False)
    common, fmeasure = _library("rapidfuzz.distance").LCSseq, _library("rouge_score.scoring").fmeasure

    def rouge_l(text: str, reference: str) -> float:
        said, wanted = tokens.tokenize(text), tokens.tokenize(reference)
        if not said or not wanted:
            return 0.0
        numbers = {
            word: number for number, word in enumerate({*said, *wanted})
        }  # Rapidfuzz would compare hashes
        length = common.similarity([numbers[word] for word in said], [numbers[word] for word in wanted])
        return float(fmeasure(length / len(said), length / len(wanted)))

    return rouge_l


def _cosine(embed: Embed | None) -> Metric:
    """Cosine of two embeddings. OpenAI used its own text-embedding-3-large; here the host says what embeds."""
    if embed is None:
        raise UnsupportedError(
            "text_similarity with 'cosine' needs embeddings, and no model was given for them",
            hint="pass embed=, a function from texts to vectors, or use another evaluation_metric",
        )

    def cosine(text: str, reference: str) -> float:
        try:
            one, other = embed([text, reference])
        except Exception as error:  # whatever the host's model does
            raise Unreadable("model_grader_server_error", f"embedding failed: {error}"[:200]) from error
        norm = math.hypot(*one) * math.hypot(*other)
        if not (norm > 0.0 and math.isfinite(norm)):
            raise Unreadable("model_grader_parse_error", "an embedding is zero or not finite")
        return math.fsum(a * b for a, b in zip(one, other, strict=True)) / norm

    return cosine


def _words() -> Callable[[str], list[str]]:
    """The tokens of mteval-v13a, as in BLEU. nltk's own would need data files beside the library."""
    tokenize = _library("sacrebleu.tokenizers.tokenizer_13a").Tokenizer13a()
    return lambda text: tokenize(text).split()


def _library(name: str) -> ModuleType:
    try:
        return import_module(name)
    except ImportError:
        raise MissingExtraError(name.partition(".")[0].replace("_", "-"), extra="graders") from None
