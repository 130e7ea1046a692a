"""`text_similarity`: how close two texts are, by a metric of a library. Knows no metric by heart (see `metrics`)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from tunekit.graders.base import Grade, Grader
from tunekit.graders.fields import Fields
from tunekit.graders.metrics import NAMES, Embed, Metric, metric_of
from tunekit.graders.sample import Sample
from tunekit.graders.templates import Template, Variable


@dataclass(frozen=True, kw_only=True)
class TextSimilarity(Grader):
    """Measures how close two texts are, from 0 to 1 (a cosine: from -1).

    Attributes:
        input: What is graded.
        reference: What it is held against.
        metric: The measure.
    """

    input: Template
    reference: Template
    metric: Metric

    @classmethod
    def read(cls, fields: Fields, name: str, embed: Embed | None) -> TextSimilarity:
        """From its JSON.

        Raises:
            MissingExtraError: The library of the metric is not installed.
            UnsupportedError: A cosine, and there is nothing to embed texts with.
        """
        return cls(
            name=name,
            input=fields.template("input"),
            reference=fields.template("reference"),
            metric=metric_of(fields.choice("evaluation_metric", NAMES), embed),
            pass_threshold=fields.number("pass_threshold"),
        )

    def variables(self) -> Iterator[Variable]:
        """See `Grader.variables`."""
        yield from self.input.variables()
        yield from self.reference.variables()

    def _grade(self, sample: Sample, item: Mapping[str, Any]) -> Grade:
        found = self.metric(self.input.render(sample, item), self.reference.render(sample, item))
        # Rounding leaves BLEU and cosines of equal texts a bit above 1, where a formula may have no value.
        return Grade.of(max(-1.0, min(1.0, found)))
