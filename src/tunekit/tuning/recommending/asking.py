"""What is asked without training: zero-shot and few-shot as arms, and the scorer that decides. Knows models by trying.

A model that writes is told what to do; one that only embeds answers with the nearest class. Where the backend weighs
answers, classes are told apart by their log-probabilities, so that no answer can be off the list.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from tunekit.backends.base import Backend, ScoreRequest
from tunekit.errors import ModelError
from tunekit.evaluation.arms.arm import Arm
from tunekit.evaluation.arms.constructors import few_shot, nearest, zero_shot
from tunekit.evaluation.arms.costs import CallPrice
from tunekit.evaluation.arms.templates import TemplateLike
from tunekit.evaluation.scorers import Accuracy, EditSimilarity, ExactMatch, Perplexity, ScoreFunction, Scorer
from tunekit.refs import Target
from tunekit.spec import Sampling
from tunekit.tuning.recommending.task import Task

_MOST_LISTED_CHARS = 2_000
"""Names of classes that a prompt lists; more would fill the context of a small model."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asking:
    """How questions are put, and what makes an answer right.

    Attributes:
        target: The model.
        task: The data.
        embeds: Whether the model writes nothing, and only embeds.
        scorers: The first decides.
        sampling: How answers are drawn.
        template: How the caller puts a question; None is our own way.
        shots: Solved examples before a question; of a model that embeds, examples of each class.
        price: What a call costs; None where nobody knows.
    """

    target: Target
    task: Task
    embeds: bool
    scorers: tuple[Scorer | ScoreFunction, ...]
    sampling: Sampling
    template: TemplateLike | None
    shots: int
    price: CallPrice | None

    def zero_shot(self) -> Arm:
        """The model as it is, told what to do."""
        model, name = str(self.target), "zero-shot"
        if self.embeds:
            words = {label: label.replace("_", " ").replace("-", " ") for label in sorted(self.task.classes)}
            return self._priced(nearest(model, classes=words, name=name))
        template = self.template or (self._asking_for_a_class() if self.task.classes else None)
        if template is None:
            return Arm(model=model, name=name, price=self.price)
        return self._priced(zero_shot(model, template, name=name))

    def few_shot(self) -> Arm:
        """The model with solved examples of the training part."""
        model, name, train = str(self.target), "few-shot", tuple(self.task.train)
        if self.embeds:
            return self._priced(nearest(model, examples=train, k=self.shots, name=name))
        template = self.template or ("Text: {prompt}\nClass: {answer}" if self.task.classes else None)
        shown = min(self.shots, len(train))
        return self._priced(few_shot(model, train, shown, template=template, selection="similar", name=name))

    def _priced(self, arm: Arm) -> Arm:
        return replace(arm, price=self.price)

    def _asking_for_a_class(self) -> str:
        names = ", ".join(sorted(self.task.classes)).replace("{", "{{").replace("}", "}}")
        listed = f"Classes: {names}\n" if len(names) <= _MOST_LISTED_CHARS else ""
        return f"{listed}Text: {{prompt}}\nClass: {{answer}}"


async def only_embeds(backend: Backend, target: Target) -> bool:
    """Whether this model writes nothing and weighs no answers. Costs one short call, where a backend has such models.

    Raises:
        TunekitError: The model cannot be reached.
    """
    capabilities = backend.capabilities
    if not (capabilities.supports("embed") and capabilities.supports("score")):
        return False
    try:
        await backend.score(target.id, [ScoreRequest(prompt="a", choices=("b",))])
    except ModelError:
        return True
    return False


def scorers_for(task: Task, backend: Backend, *, embeds: bool) -> tuple[Scorer, ...]:
    """What decides, where the caller has not said."""
    weighs = backend.capabilities.supports("score") and not embeds
    if task.classes:
        return (Accuracy(choices=sorted(task.classes)),) if weighs else (ExactMatch(normalise="text"),)
    return (Perplexity("bits_per_byte"),) if weighs else (EditSimilarity(),)


def sampling_for(task: Task, given: Sampling | None) -> Sampling:
    """How answers are drawn, where the caller has not said: a class is one line."""
    return given or (Sampling(max_tokens=32, stop=("\n",)) if task.classes else Sampling())


def shares_of_one(scorers: Sequence[Scorer | ScoreFunction]) -> bool:
    """Whether the deciding score is a share of right answers, as the published pairs are."""
    return isinstance(scorers[0], (Accuracy, ExactMatch))
