"""Learning from pairs: DPO, IPO, ORPO and SimPO. Knows log-probabilities of answers; no layout, optimizer or file.

Each is a loss of two numbers, the scores of the better and the worse answer, and they differ in what is a score:

    DPO     log p(y|x) - log p_ref(y|x)
    IPO     the same, per token
    ORPO    log p(y|x) per token
    SimPO   log p(y|x) per token
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch.nn.functional import logsigmoid

from tunekit.errors import DataError
from tunekit.examples import Example, PreferenceExample
from tunekit.spec import DPO
from tunekit.training.models.language_model import LanguageModel
from tunekit.training.objectives.base import Learner, Loss, Untrained
from tunekit.training.objectives.reference import Judging, Referenced, by_row, references
from tunekit.training.plan.device import Device
from tunekit.training.plan.preflight import names
from tunekit.training.texts.render_answers import render_answers

_AGAINST_REFERENCE = ("sigmoid", "ipo")
_PER_TOKEN = ("ipo", "orpo", "simpo")
_OF_ONE_LOSS = {"label_smoothing": "sigmoid", "margin": "simpo"}


@dataclass(frozen=True, slots=True)
class Preferring(Judging[Referenced]):
    """DPO and its kin before there are weights. A row is a pair: the better answer, then the worse."""

    method: DPO

    def row(self, example: Example) -> Referenced:
        """See `Objective.row`."""
        if not isinstance(example, PreferenceExample):
            raise DataError(
                f"row {example.id!r}: a {example.kind} example has no better and worse answer",
                hint="use preference examples, or another method",
            )
        texts = self.texts
        prompt, answers = render_answers(texts.template, example, texts.prompt_format, texts.family)
        encoded = texts.family == "encoder-decoder"
        return Referenced(id=example.id, prompt=prompt, answers=answers, weight=1.0, encoded=encoded)

    def learner(self, module: Any, device: Device, *, longest: int) -> PreferenceLearner:
        """See `Objective.learner`."""
        return PreferenceLearner(self.texts.language_model(module, device, longest=longest), self.method)

    def warnings(self, rows: Sequence[Referenced], stop_ids: Sequence[int], *, part: str) -> list[str]:
        """See `Objective.warnings`."""
        found = Judging.warnings(self, rows, stop_ids, part=part)
        equal = [row for row in rows if row.answers[0].ids == row.answers[1].ids]
        if equal:
            found.append(
                f"{len(equal)} {part} rows have the same answer as chosen and as rejected, which teaches nothing: "
                f"{names(equal)}"
            )
        return found + (_idle(self.method) if part == "training" else [])


def _idle(method: DPO) -> list[str]:
    """Warnings of constants that were set and that the loss does not know."""
    defaults = DPO()
    return [
        f"{field}={getattr(method, field):g} has no effect: it belongs to loss={loss!r}, and this is {method.loss!r}"
        for field, loss in _OF_ONE_LOSS.items()
        if method.loss != loss and getattr(method, field) != getattr(defaults, field)
    ]


@dataclass(frozen=True, slots=True)
class PreferenceLearner(Learner[Referenced]):
    """DPO and its kin with the model at hand."""

    model: LanguageModel
    method: DPO

    def prepared(self, rows: Sequence[Referenced], untrained: Untrained) -> list[Referenced]:
        """See `Learner.prepared`."""
        if self.method.loss not in _AGAINST_REFERENCE:
            return list(rows)
        found = untrained(rows, lambda cut: by_row(self.model, cut)).tolist()
        return [replace(row, reference=tuple(pair)) for row, pair in zip(rows, found, strict=True)]

    def loss(self, rows: Sequence[Referenced]) -> Loss:
        """Sum of the losses of the pairs."""
        scored = self.model.score(rows)
        log_probs = scored.by_answer().view(-1, 2)
        scores = log_probs
        if self.method.loss in _AGAINST_REFERENCE:
            scores = scores - references(rows, scores)
        if self.method.loss in _PER_TOKEN:
            scores = scores / scored.lengths().view(-1, 2)
        metrics = _metrics(self.method.beta * scores.detach(), log_probs.detach())
        return Loss(total=pair_losses(scores, self.method).sum(), metrics=metrics)


def pair_losses(scores: torch.Tensor, method: DPO) -> torch.Tensor:
    """The loss of each pair, shape (pairs,).

    With s_w and s_l the scores of the better and the worse answer and d = s_w - s_l:

    - sigmoid: -(1 - e) log sigma(beta d) - e log sigma(-beta d). Rafailov et al. 2023 (arXiv 2305.18290), equation 7;
      with the label smoothing e of cDPO: Mitchell 2023, "A note on DPO with noisy preferences", equation 3.
    - ipo: (d - 1 / (2 beta))^2. Azar et al. 2023 (arXiv 2310.12036), equation 17. Their scores are sums; per token is
      how the authors ran it, according to TRL (`dpo_trainer.py`, 1.16), and what keeps long answers from taking over.
    - orpo: -s_w - beta log sigma(log odds(s_w) - log odds(s_l)), odds(s) = e^s / (1 - e^s). Hong et al. 2024
      (arXiv 2403.07691), equations 3 to 7.
    - simpo: -log sigma(beta (d - margin)). Meng et al. 2024 (arXiv 2405.14734), equation 6; margin is gamma / beta.

    Args:
        scores: Of the better and the worse answer, shape (pairs, 2).
        method: Which loss, and its constants.
    """
    better, worse = scores.unbind(1)
    ahead = better - worse
    match method.loss:
        case "sigmoid":
            share = method.label_smoothing
            right, wrong = logsigmoid(method.beta * ahead), logsigmoid(-method.beta * ahead)
            return -(1 - share) * right - share * wrong
        case "ipo":
            return (ahead - 1 / (2 * method.beta)) ** 2
        case "orpo":
            return -better - method.beta * logsigmoid(_log_odds(better) - _log_odds(worse))
        case "simpo":
            return -logsigmoid(method.beta * (ahead - method.margin))


def _log_odds(log_prob: torch.Tensor) -> torch.Tensor:
    """log(p / (1 - p)). 1 - p keeps its digits as -expm1(log p); where fp32 rounds p to 1, odds and gradient end."""
    log_prob = log_prob.clamp(max=-torch.finfo(log_prob.dtype).eps)
    return log_prob - torch.log(-torch.expm1(log_prob))


def _metrics(rewards: torch.Tensor, log_probs: torch.Tensor) -> dict[str, torch.Tensor]:
    """Sums over the pairs; a reward is beta times a score.

    Args:
        rewards: Shape (pairs, 2).
        log_probs: Shape (pairs, 2).
    """
    better, worse = rewards.unbind(1)
    chosen, rejected = log_probs.sum(0)
    return {
        "accuracy": (better > worse).float().sum(),
        "reward_margin": (better - worse).sum(),
        "chosen_reward": better.sum(),
        "rejected_reward": worse.sum(),
        "chosen_log_prob": chosen,
        "rejected_log_prob": rejected,
    }
