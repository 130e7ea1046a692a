"""Supervised fine-tuning: weighted cross-entropy on target tokens. Knows rows; knows no layout, optimizer or file."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from tunekit.examples import Example
from tunekit.training.models.families import Head
from tunekit.training.models.language_model import LanguageModel
from tunekit.training.objectives.base import Learner, Loss, Objective
from tunekit.training.objectives.texts import Texts, endless
from tunekit.training.plan.device import Device
from tunekit.training.plan.preflight import names
from tunekit.training.texts import pairs, render
from tunekit.training.texts.rows import Answers


@dataclass(frozen=True, slots=True)
class Supervised(Objective[Answers]):
    """SFT before there are weights."""

    texts: Texts
    head: ClassVar[Head] = "tokens"

    def row(self, example: Example) -> Answers:
        """See `Objective.row`."""
        prompt: tuple[int, ...] = ()
        encoded = self.texts.family == "encoder-decoder"
        if encoded:
            prompt, answer = pairs.render_pair(self.texts.template, example, self.texts.prompt_format)
        else:
            answer = render.render_example(self.texts.template, example, self.texts.prompt_format)
        weight = math.fsum(answer.weights)
        return Answers(id=example.id, prompt=prompt, answers=(answer,), weight=weight, encoded=encoded)

    def learner(self, module: Any, device: Device, *, longest: int) -> SupervisedLearner:
        """See `Objective.learner`."""
        return SupervisedLearner(self.texts.language_model(module, device, longest=longest))

    def shortened(self, row: Answers, max_length: int) -> Answers | None:
        """See `Objective.shortened`."""
        return row.without_beginning(row.longest - max_length, begin=self.texts.template.begin)

    def facts(self, rows: Sequence[Answers], stop_ids: Sequence[int]) -> dict[str, Any]:
        """See `Objective.facts`."""
        return {"turns_without_weight": _silent_turns(rows), **self.texts.facts(rows, stop_ids)}

    def warnings(self, rows: Sequence[Answers], stop_ids: Sequence[int], *, part: str) -> list[str]:
        """See `Objective.warnings`."""
        found = []
        silent = [row for row in rows if _silent_turns([row])]
        if silent:
            found.append(
                f"{_silent_turns(silent)} assistant turns of weight 0 in {part} rows are not learned: {names(silent)}"
            )
        count = len(endless(rows, stop_ids))
        if count and part == "training":
            found.append(f"{count} rows do not end in a stop token; the model may run on after such answers")
        return found


@dataclass(frozen=True, slots=True)
class SupervisedLearner(Learner[Answers]):
    """SFT with the model at hand."""

    model: LanguageModel

    def loss(self, rows: Sequence[Answers]) -> Loss:
        """Sum of weight times cross-entropy over the targets.

        L = sum_t w_t * -log p(x_t | x_{<t}); divided by the weights of the whole step, it is the mean over targets.
        """
        scored = self.model.score(rows)
        return Loss(total=-(scored.log_probs * scored.weights).sum())


def _silent_turns(rows: Sequence[Answers]) -> int:
    return sum(answer.silent_turns for row in rows for answer in row.answers)
