"""Detectors that need more than patterns: models for names of people and for languages. Optional, brought by extras.

A detector is any function of a text, so a host may pass its own. Those here import their package when they are made.
What a model finds may differ from version to version: our own patterns and scripts do not.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

from tunekit.data.patterns.sensitive import Finder, Sensitive
from tunekit.errors import MissingExtraError, SpecError

if TYPE_CHECKING:
    from types import ModuleType

LanguageOf: TypeAlias = Callable[[str], str | None]
"""The language of a text as an ISO 639-1 code, or None where that cannot be said."""

MIN_CONFIDENCE = 0.9
"""Below it, a language is a guess: short texts of the same script are mixed up."""
_SPACY_MODEL = "en_core_web_lg"  # what AnalyzerEngine() loads, and downloads where it is not installed


class Analyzer(Protocol):
    """What we need of `presidio_analyzer.AnalyzerEngine`."""

    def analyze(
        self, *, text: str, language: str, entities: list[str], score_threshold: float
    ) -> Iterable[Any]:
        """Results with `entity_type`, `start` and `end`."""
        ...


def presidio(
    analyzer: Analyzer | None = None,
    *,
    language: str = "en",
    entities: Sequence[str] = ("PERSON", "PHONE_NUMBER"),
    min_score: float = 0.5,
) -> Finder:
    """Finds names of people and more with Microsoft Presidio.

    Args:
        analyzer: A `presidio_analyzer.AnalyzerEngine`; None makes the default one, for English.
        language: Language that the analyzer takes the texts for.
        entities: Presidio's names of what to find; e-mail addresses, cards and the like are found without it.
        min_score: Presidio's confidence from which on a result counts, from 0 to 1.

    Raises:
        MissingExtraError: No analyzer was given and presidio-analyzer is not installed.
        SpecError: No analyzer was given and its English model is not installed.
    """
    engine = _english_analyzer() if analyzer is None else analyzer
    wanted = list(entities)

    def find(text: str) -> Iterable[Sensitive]:
        results = engine.analyze(text=text, language=language, entities=wanted, score_threshold=min_score)
        return [
            Sensitive(str(result.entity_type).lower().replace("_", "-"), result.start, result.end)
            for result in results
        ]

    return find


def _english_analyzer() -> Analyzer:
    package = _imported("presidio_analyzer", "privacy")
    if find_spec(_SPACY_MODEL) is None:
        raise SpecError(
            f"presidio needs the language model {_SPACY_MODEL!r}, which is not installed",
            hint=f"run: python -m spacy download {_SPACY_MODEL}, or pass an analyzer with another model",
        )
    analyzer: Analyzer = package.AnalyzerEngine()
    return analyzer


def langid(*, languages: Sequence[str] | None = None, min_confidence: float = MIN_CONFIDENCE) -> LanguageOf:
    """Names the language of a text with py3langid, a small model of 130 languages.

    Args:
        languages: ISO 639-1 codes of the languages that can occur; fewer are told apart better. None for all.
        min_confidence: Probability below which nothing is said, from 0 to 1.

    Raises:
        MissingExtraError: py3langid is not installed.
        SpecError: It does not know one of the languages.
    """
    package = _imported("py3langid.langid", "languages")
    model = package.LanguageIdentifier.from_model_file(package.MODEL_FILE, norm_probs=True)
    try:
        model.set_languages(languages)
    except ValueError as error:
        raise SpecError(str(error), hint=f"py3langid knows {', '.join(sorted(model.labels))}") from None

    def language_of(text: str) -> str | None:
        language, confidence = model.classify(text)
        return str(language) if confidence >= min_confidence else None

    return language_of


def _imported(name: str, extra: str) -> ModuleType:
    try:
        return import_module(name)
    except ImportError:
        raise MissingExtraError(name.partition(".")[0], extra=extra) from None
