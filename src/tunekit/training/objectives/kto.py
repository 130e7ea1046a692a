"""KTO: learning from answers that were called good or bad, each on its own. Knows rows; no layout, optimizer or file.

Ethayarajh et al. 2024 (arXiv 2402.01306), equations 7 and 8: with the reward r = log p(y|x) / p_ref(y|x) of an answer
and a baseline z that all answers of a step share,

    L = w_d (1 - sigma(beta (r - z)))  for a desirable answer,  w_u (1 - sigma(beta (z - r)))  for another.

z is how far the model has moved at all: max(0, mean of log p(y'|x) / p_ref(y'|x)) over prompts x with answers y' that
have nothing to do with them. No gradient flows through it.
"""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

import torch

from tunekit.errors import DataError
from tunekit.examples import Example, UnpairedExample
from tunekit.spec import KTO
from tunekit.training.models.language_model import LanguageModel
from tunekit.training.objectives.base import Learner, Loss, Passes, Untrained
from tunekit.training.objectives.reference import Judging, Referenced, by_row, evaluating, references
from tunekit.training.plan.device import Device
from tunekit.training.texts.render_answers import render_answers
from tunekit.training.texts.rows import Tokens

_LOOKED_AT = 16
_BALANCED = (0.5, 2.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Baseline:
    """What the answers of a step are held against.

    Attributes:
        divergence: z, in nats.
        desirable: How many answers of the step are.
        undesirable: How many are not.
    """

    divergence: float
    desirable: int
    undesirable: int


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgedAnswer(Referenced):
    """A prompt with one answer.

    Attributes:
        desirable: Whether it was called good.
        unrelated: The answer of another row, to tell from how far the model has moved; `reference` has its
            log-probability behind that of the row's own answer. None before the rows are prepared.
        baseline: Of the step; None before it is drawn.
    """

    desirable: bool
    unrelated: Tokens | None = None
    baseline: Baseline | None = None


@dataclass(frozen=True, slots=True)
class KahnemanTversky(Judging[JudgedAnswer]):
    """KTO before there are weights."""

    method: KTO

    def row(self, example: Example) -> JudgedAnswer:
        """See `Objective.row`."""
        if not isinstance(example, UnpairedExample):
            raise DataError(
                f"row {example.id!r}: a {example.kind} example has no answer that was called good or bad",
                hint="use unpaired examples, or another method",
            )
        texts = self.texts
        prompt, answers = render_answers(texts.template, example, texts.prompt_format, texts.family)
        return JudgedAnswer(
            id=example.id,
            prompt=prompt,
            answers=answers,
            weight=1.0,
            encoded=texts.family == "encoder-decoder",
            desirable=example.desirable,
        )

    def learner(self, module: Any, device: Device, *, longest: int) -> KahnemanTverskyLearner:
        """See `Objective.learner`."""
        model = self.texts.language_model(module, device, longest=longest)
        return KahnemanTverskyLearner(model, self.method, longest)

    def facts(self, rows: Sequence[JudgedAnswer], stop_ids: Sequence[int]) -> dict[str, Any]:
        """See `Objective.facts`."""
        good = sum(row.desirable for row in rows)
        return {
            **Judging.facts(self, rows, stop_ids),
            "desirable_rows": good,
            "undesirable_rows": len(rows) - good,
        }

    def warnings(self, rows: Sequence[JudgedAnswer], stop_ids: Sequence[int], *, part: str) -> list[str]:
        """See `Objective.warnings`."""
        found = Judging.warnings(self, rows, stop_ids, part=part)
        good = sum(row.desirable for row in rows) * self.method.desirable_weight
        bad = sum(not row.desirable for row in rows) * self.method.undesirable_weight
        if part == "training" and not _BALANCED[0] * bad <= good <= _BALANCED[1] * bad:
            # The paper's section on class imbalance wants a ratio from 1 to 4/3; far from there, say so.
            found.append(
                f"desirable answers weigh {good:g} and undesirable ones {bad:g}; KTO wants them about equal, so set "
                "desirable_weight or undesirable_weight"
            )
        return found


@dataclass(frozen=True, slots=True)
class KahnemanTverskyLearner(Learner[JudgedAnswer]):
    """KTO with the model at hand.

    Attributes:
        model: The model.
        method: The constants.
        longest: Longest text of the run in tokens; an unrelated answer is cut to fit.
    """

    model: LanguageModel
    method: KTO
    longest: int

    def prepared(self, rows: Sequence[JudgedAnswer], untrained: Untrained) -> list[JudgedAnswer]:
        """See `Learner.prepared`.

        Which answer is put to which prompt is settled here, once and for all steps, as in TRL (`kto_trainer.py`,
        1.16): then what the reference says of it can be known, whatever is trained.

        Raises:
            DataError: There is only one row, so no unrelated answer.
        """
        if len(rows) < 2:
            raise DataError(
                "KTO compares each answer with that of another row, and there is only one row",
                hint="give at least two training rows, and no or at least two validation rows",
            )
        others = [
            _put_to(rows[other].answers[0], row, self.longest)
            for row, other in zip(rows, unrelated(rows), strict=True)
        ]
        both = [replace(row, answers=(*row.answers, other)) for row, other in zip(rows, others, strict=True)]
        found = untrained(both, lambda cut: by_row(self.model, cut)).tolist()
        return [
            replace(row, unrelated=other, reference=tuple(values))
            for row, other, values in zip(rows, others, found, strict=True)
        ]

    def drawn(self, rows: Sequence[JudgedAnswer], passes: Passes) -> list[JudgedAnswer]:
        """See `Learner.drawn`. The baseline is that of the whole step, however it is cut."""
        good = sum(row.desirable for row in rows)
        baseline = Baseline(
            divergence=self._divergence(rows, passes), desirable=good, undesirable=len(rows) - good
        )
        return [replace(row, baseline=baseline) for row in rows]

    def loss(self, rows: Sequence[JudgedAnswer]) -> Loss:
        """Sum of the losses of the answers."""
        assert rows[0].baseline is not None, "a step is drawn before its passes"
        baseline = rows[0].baseline
        log_probs = by_row(self.model, rows)[:, 0]
        rewards = log_probs - references(rows, log_probs)[:, 0]
        desirable = torch.tensor([row.desirable for row in rows], device=rewards.device)
        total = judged_losses(rewards, desirable, baseline.divergence, self.method).sum()
        return Loss(total=total, metrics=_metrics(rewards.detach(), desirable, baseline, self.method.beta))

    def _divergence(self, rows: Sequence[JudgedAnswer], passes: Passes) -> float:
        apart = [
            replace(row, answers=(row.unrelated,), reference=row.reference[1:])
            for row in rows
            if row.unrelated is not None
        ]

        def moves(cut: Sequence[JudgedAnswer]) -> list[float]:
            log_probs = by_row(self.model, cut)
            found: list[float] = (log_probs - references(cut, log_probs))[:, 0].tolist()
            return found

        # Without dropout: how far the model has moved is no matter of chance.
        with torch.no_grad(), evaluating(self.model.module):
            moved = passes(apart, moves)
        return max(0.0, math.fsum(moved) / len(moved))


def judged_losses(
    rewards: torch.Tensor, desirable: torch.Tensor, divergence: float, method: KTO
) -> torch.Tensor:
    """The loss of each answer (see the formula above), shape (answers,).

    Args:
        rewards: log p / p_ref of each answer in nats, shape (answers,).
        desirable: Whether it was called good, shape (answers,).
        divergence: z, in nats.
        method: The constants.
    """
    ahead = method.beta * (rewards - divergence)
    # 1 - sigma(a) = sigma(-a)
    good, bad = torch.sigmoid(-ahead), torch.sigmoid(ahead)
    return torch.where(desirable, method.desirable_weight * good, method.undesirable_weight * bad)


def unrelated(rows: Sequence[JudgedAnswer]) -> list[int]:
    """For each row another one, whose answer has nothing to do with its prompt; the same for the same rows.

    Rows are shuffled first: neighbours are often two answers to one prompt. For the same reason a row of another prompt
    is looked for, if not for long.
    """
    order = list(range(len(rows)))
    random.Random("tunekit unrelated answers").shuffle(order)
    ring = order + order
    found = [0] * len(rows)
    for at, index in enumerate(order):
        others = islice(ring, at + 1, at + min(len(rows), _LOOKED_AT + 1))
        of_other_prompts = (other for other in others if rows[other].prompt != rows[index].prompt)
        found[index] = next(of_other_prompts, ring[at + 1])
    return found


def _put_to(answer: Tokens, row: JudgedAnswer, longest: int) -> Tokens:
    """An answer as it can follow a row's prompt: no longer than the model takes. Half an answer tells as much."""
    room = longest if row.encoded else longest - len(row.prompt)
    ids, weights = answer.ids[:room], answer.weights[:room]
    if not row.prompt and not row.encoded:
        weights = (0.0, *weights[1:])  # nothing stands before it
    return Tokens(ids=ids, weights=weights, row=answer.row)


def _metrics(
    rewards: torch.Tensor, desirable: torch.Tensor, baseline: Baseline, beta: float
) -> dict[str, torch.Tensor]:
    """Sums over the answers. Rewards of a kind are scaled so that, divided by all rows, they are the kind's mean."""
    count = baseline.desirable + baseline.undesirable
    right = (rewards > baseline.divergence) == desirable
    found = {
        "accuracy": right.float().sum(),
        "divergence": rewards.new_tensor(baseline.divergence * len(rewards)),
    }
    good, bad = beta * rewards[desirable].sum(), beta * rewards[~desirable].sum()
    if baseline.desirable:
        found["desirable_reward"] = good * (count / baseline.desirable)
    if baseline.undesirable:
        found["undesirable_reward"] = bad * (count / baseline.undesirable)
    if baseline.desirable and baseline.undesirable:
        found["reward_margin"] = found["desirable_reward"] - found["undesirable_reward"]
    return found
