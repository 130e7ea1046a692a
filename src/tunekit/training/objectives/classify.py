"""Classification: cross-entropy of a trained head over named classes. Knows labels and logits; no layout, no file.

One class to a text: L = sum_i w_{y_i} * -log softmax(z_i)_{y_i}, divided by sum_i w_{y_i} over the step, which is what
torch's `CrossEntropyLoss(weight=w)` is. Several: binary cross-entropy of each class (Zhang and Zhou 2014, section 3),
L = sum_i sum_c w_c * -(y_ic log sigmoid(z_ic) + (1 - y_ic) log sigmoid(-z_ic)), divided by the sum of all these w_c.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import torch
from torch.nn import functional

from tunekit.data.wording import brief, counted, listed, nearest
from tunekit.errors import DataError
from tunekit.examples import Example
from tunekit.spec import Classify
from tunekit.training.models import heads
from tunekit.training.models.classes import Census, Classes, labels_of
from tunekit.training.models.classifier import Classifier, text_ids
from tunekit.training.models.families import Head
from tunekit.training.objectives.base import Learner, Loss, Objective
from tunekit.training.objectives.texts import Texts
from tunekit.training.plan.device import Device
from tunekit.training.probe.probed import ProbedModel


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelledText:
    """A text in tokens and the classes it has.

    Attributes:
        id: Id of the example.
        ids: Token ids, special tokens included.
        classes: Places of its classes.
        weight: As in `Row`.
    """

    id: str
    ids: tuple[int, ...]
    classes: tuple[int, ...]
    weight: float

    @property
    def length(self) -> int:
        """Tokens of the text."""
        return len(self.ids)

    @property
    def longest(self) -> int:
        """Tokens of the text."""
        return len(self.ids)

    @property
    def highest(self) -> int:
        """The largest token id."""
        return max(self.ids)

    @property
    def target_count(self) -> int:
        """One: the text has one label, or one set of them."""
        return 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Classifying(Objective[LabelledText]):
    """Classify before there are weights."""

    texts: Texts
    classes: Classes
    weights: tuple[float, ...]
    dropout: float
    head: ClassVar[Head] = "classes"

    @classmethod
    def of(
        cls,
        method: Classify,
        texts: Texts,
        examples: Iterable[Example],
        earlier: Classes | None = None,
        *,
        keeps: bool = False,
    ) -> Classifying:
        """With the classes of the training rows, and of the head that training goes on with; see `Census.of`.

        Raises:
            DataError: They have fewer than two.
            SpecError: A weight is given for a class that they do not have.
        """
        census = Census.of(examples, earlier, keeps=keeps)
        weights = census.weights(method.class_weights)
        return cls(texts=texts, classes=census.classes, weights=weights, dropout=method.dropout)

    def named_classes(self) -> Classes:
        """See `Objective.named_classes`."""
        return self.classes

    def row(self, example: Example) -> LabelledText:
        """See `Objective.row`."""
        places = tuple(self._place(example.id, name) for name in labels_of(example))
        if len(places) != 1 and not self.classes.multi_label:
            raise DataError(
                f"row {example.id!r} has {counted(len(places), 'class')}, and every training row has one",
                field="label",
                hint="give it one label; where texts may have several, write the training rows' labels as lists too",
            )
        weighed = range(len(self.weights)) if self.classes.multi_label else places
        text: str = example.text  # type: ignore[union-attr]  # labels_of has seen that it is a labelled one
        try:
            ids = text_ids(self.texts.template, text, self.texts.family)
        except DataError as error:
            raise DataError(f"row {example.id!r}: {error.message}", field="text", hint=error.hint) from error
        weight = math.fsum(self.weights[place] for place in weighed)
        return LabelledText(id=example.id, ids=ids, classes=places, weight=weight)

    def learner(self, module: Any, device: Device, *, longest: int) -> ClassifyingLearner:
        """See `Objective.learner`."""
        heads.set_dropout(module, self.dropout)
        return ClassifyingLearner(
            model=Classifier.of(module, device),
            weights=torch.tensor(self.weights, device=device.name),
            multi_label=self.classes.multi_label,
        )

    def shortened(self, row: LabelledText, max_length: int) -> LabelledText | None:
        """See `Objective.shortened`. The special tokens at both ends stay where they are."""
        special = _around_texts(self.texts.template.tokenizer)
        begin = next((at for at, token in enumerate(row.ids) if token not in special), 0)
        end = len(row.ids) - next((at for at, token in enumerate(row.ids[::-1]) if token not in special), 0)
        cut = begin + row.length - max_length
        return replace(row, ids=row.ids[:begin] + row.ids[cut:]) if cut < end else None

    def facts(self, rows: Sequence[LabelledText], stop_ids: Sequence[int]) -> dict[str, Any]:
        """See `Objective.facts`."""
        counts = [0] * len(self.classes.names)
        for row in rows:
            for place in row.classes:
                counts[place] += 1
        return {
            "classes": dict(zip(self.classes.names, counts, strict=True)),
            "multi_label": self.classes.multi_label,
            "class_weights": dict(zip(self.classes.names, self.weights, strict=True)),
            "sample": self.texts.template.tokenizer.decode(list(rows[0].ids)),
        }

    def _place(self, row: str, name: str) -> int:
        try:
            return self.classes.index(name)
        except ValueError:
            names = self.classes.names
            raise DataError(
                f"row {row!r} is of class {brief(name)}, which no training row has",
                field="label",
                hint=nearest(name, names)
                or f"add training rows of it, or leave it out; there are {listed(names)}",
            ) from None


def _around_texts(tokenizer: Any) -> set[int]:
    """The special tokens but for the unknown one, which stands for a part of a text unless it has another office."""
    offices = {tokenizer.bos_token_id, tokenizer.eos_token_id, tokenizer.cls_token_id, tokenizer.sep_token_id}
    return {
        token for token in tokenizer.all_special_ids if token != tokenizer.unk_token_id or token in offices
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassifyingLearner(Learner[LabelledText]):
    """Classify with the model at hand."""

    model: Classifier | ProbedModel
    weights: torch.Tensor
    multi_label: bool

    def loss(self, rows: Sequence[LabelledText]) -> Loss:
        """The weighted sum of the rows' cross-entropies, and how many rows are right in all of their classes."""
        return self.of_logits(self.model.logits([row.ids for row in rows]), rows)

    def of_logits(self, logits: torch.Tensor, rows: Sequence[LabelledText]) -> Loss:
        """The same of logits that are known."""
        targets = torch.zeros(logits.shape, device=logits.device)
        for at, row in enumerate(rows):
            targets[at, list(row.classes)] = 1.0
        if self.multi_label:
            total = functional.binary_cross_entropy_with_logits(
                logits, targets, weight=self.weights, reduction="sum"
            )
            return Loss(
                total=total, metrics={"exact_match": ((logits > 0) == (targets > 0)).all(dim=1).sum()}
            )
        truth = targets.argmax(dim=1)
        total = functional.cross_entropy(logits, truth, weight=self.weights, reduction="sum")
        return Loss(total=total, metrics={"accuracy": (logits.argmax(dim=1) == truth).sum()})
