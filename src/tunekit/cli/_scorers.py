"""Scorers by what is written on a command line. Knows names and options; what a scorer does is its own business."""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tunekit.data.wording import brief, nearest
from tunekit.errors import SpecError, StorageError

if TYPE_CHECKING:
    from tunekit.evaluation.scorers import Scorer

_MADE_IN_PYTHON = ("Custom", "EmbeddingSimilarity", "GraderScorer")
"""Scorers that take a function."""
_WORDS = re.compile(r"(?<=[a-z])(?=[A-Z])")


def scorer_of(said: str) -> Scorer:
    """The scorer that is meant.

    Args:
        said: The name of a scorer as `exact_match` for `ExactMatch`, or of a metric of classes such as `f1_macro`, with
            options after a colon (`NAME=VALUE,...`, or a JSON object); or the path of an OpenAI grader's JSON file.

    Raises:
        SpecError: There is no such scorer, or it takes no such option.
        StorageError: The file cannot be read.
        TunekitError: What the scorer or the grader itself raises.

    Examples:
        >>> scorer_of("exact_match:normalise=text")
        ExactMatch(normalise='text', name='exact_match')
        >>> scorer_of("f1_macro").corpus
        'f1_macro'
    """
    if said.endswith(".json"):
        return _grader(Path(said))
    name, _, rest = said.partition(":")
    classes, metrics = _classes(), _metrics()
    options = _options(rest)
    if name in classes:
        return _made(said, classes[name], **options)
    if name in metrics:
        return _made(said, metrics[name], metric=name, **options)
    known = [*classes, *metrics]
    raise SpecError(
        f"there is no scorer {brief(name)}", hint=nearest(name, known) or f"there are: {', '.join(known)}"
    )


def _classes() -> Mapping[str, type[Scorer]]:
    """Every public scorer that needs no function, by its name in small letters."""
    from tunekit.evaluation import scorers

    public = {name: getattr(scorers, name) for name in scorers.__all__ if name not in _MADE_IN_PYTHON}
    return {
        _WORDS.sub("_", name).lower(): value
        for name, value in public.items()
        if isinstance(value, type)
        and issubclass(value, scorers.AnswerScorer | scorers.ChoiceScorer)
        and not inspect.isabstract(value)
    }


def _metrics() -> Mapping[str, type[Scorer]]:
    """Metrics of classes and of their probabilities, by whose name a scorer is made."""
    from tunekit.evaluation.metrics.table import CORPUS
    from tunekit.evaluation.scorers import ChoiceMetric, LabelMetric, MultiLabelMetric

    makers: dict[str, type[Scorer]] = {
        "classification": LabelMetric,
        "multilabel": MultiLabelMetric,
        "calibration": ChoiceMetric,
    }
    return {name: makers[metric.counts] for name, metric in CORPUS.items() if metric.counts in makers}


def _made(said: str, scorer: type[Scorer], /, **options: Any) -> Scorer:
    try:
        return scorer(**options)
    except TypeError as error:
        told = str(error).replace(f"{scorer.__name__}.__init__() ", "")
        raise SpecError(
            f"--scorer {brief(said)}: {told}",
            hint=f"its options are those of tunekit.scorers.{scorer.__name__}",
        ) from None


def _options(text: str) -> dict[str, Any]:
    """Options as they are written; a value that is JSON is what JSON says, another one is text."""
    if text.startswith("{"):
        try:
            return dict(json.loads(text))
        except (ValueError, RecursionError) as error:
            raise SpecError(
                f"{brief(text)} is no JSON object: {error}", hint='such as {"normalise": "text"}'
            ) from None
    return dict(_option(part) for part in text.split(",") if part)


def _option(text: str) -> tuple[str, Any]:
    name, equals, value = text.partition("=")
    if not equals or not name.isidentifier():
        raise SpecError(f"{brief(text)} is no NAME=VALUE", hint="such as normalise=text")
    try:
        return name, json.loads(value)
    except (ValueError, RecursionError):
        return name, value


def _grader(path: Path) -> Scorer:
    from tunekit.evaluation.scorers import from_openai

    try:
        body = json.loads(path.read_bytes())
    except OSError as error:
        raise StorageError(
            f"cannot read the grader {str(path)!r}: {error.strerror}", hint="name a JSON file that is there"
        ) from None
    except (ValueError, RecursionError) as error:
        raise SpecError(f"{str(path)!r} is no JSON: {error}", hint="write an OpenAI grader in it") from None
    return from_openai(body)
