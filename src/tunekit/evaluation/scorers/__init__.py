"""What makes an answer right: ready scorers, and what a scorer of your own is made of.

| what is scored | scorers |
|---|---|
| whether the answer is the reference | `ExactMatch`, `Contains`, `RegexMatch`, `NumberMatch`, `JsonMatch` |
| the class that the answer names | `LabelMetric`, `MultiLabelMetric` |
| how the model weighs given answers | `Accuracy`, `TopK`, `ChoiceMetric`, `Perplexity` |
| free text beside a reference | `Bleu`, `Chrf`, `Rouge`, `Meteor`, `EditDistance`, `EditSimilarity` |
| the same by meaning | `EmbeddingSimilarity` |
| what it looks like, and takes | `ValidJson`, `OneOf`, `MaxLength`, `Length`, `Refusal`, `Latency` |
| what another model thinks of it | `Judge`; of two models, `pairwise` |
| by OpenAI's grader JSON | `from_openai` |
| anything else | a function of item and answer, `Custom`, or a subclass of `AnswerScorer` or `ChoiceScorer` |

A scorer is one column of the results. Of most the result is the mean over items; the others (`LabelMetric("f1_macro")`,
`Bleu()`) compute a metric of the whole test from what each item adds to it.

Examples:
    >>> from tunekit import scorers
    >>> scorers.ExactMatch(normalise="text").matches("Delivery.", "delivery")
    True
"""

from __future__ import annotations

from tunekit.evaluation.scorers.base import AnswerScorer, ChoiceScorer, Config, Score, ScoreLike, Scorer
from tunekit.evaluation.scorers.choices import Accuracy, ChoiceMetric, TopK, fit_temperature
from tunekit.evaluation.scorers.custom import Custom, ScoreFunction, as_scorer, is_awaited
from tunekit.evaluation.scorers.embeddings import EmbeddingSimilarity
from tunekit.evaluation.scorers.generation import Bleu, Chrf, EditDistance, EditSimilarity, Meteor, Rouge
from tunekit.evaluation.scorers.grader import GraderScorer, from_openai
from tunekit.evaluation.scorers.judge import Judge
from tunekit.evaluation.scorers.labels import LabelMetric, MultiLabelMetric
from tunekit.evaluation.scorers.likelihood import Perplexity
from tunekit.evaluation.scorers.matching import Contains, ExactMatch, JsonMatch, NumberMatch, RegexMatch
from tunekit.evaluation.scorers.pairwise import PairJudgement, Pairwise, pairwise, pairwise_async
from tunekit.evaluation.scorers.shape import Latency, Length, MaxLength, OneOf, Refusal, ValidJson

__all__ = [
    "Accuracy",
    "AnswerScorer",
    "Bleu",
    "ChoiceMetric",
    "ChoiceScorer",
    "Chrf",
    "Config",
    "Contains",
    "Custom",
    "EditDistance",
    "EditSimilarity",
    "EmbeddingSimilarity",
    "ExactMatch",
    "GraderScorer",
    "JsonMatch",
    "Judge",
    "LabelMetric",
    "Latency",
    "Length",
    "MaxLength",
    "Meteor",
    "MultiLabelMetric",
    "NumberMatch",
    "OneOf",
    "PairJudgement",
    "Pairwise",
    "Perplexity",
    "Refusal",
    "RegexMatch",
    "Rouge",
    "Score",
    "ScoreFunction",
    "ScoreLike",
    "Scorer",
    "TopK",
    "ValidJson",
    "as_scorer",
    "fit_temperature",
    "from_openai",
    "is_awaited",
    "pairwise",
    "pairwise_async",
]
