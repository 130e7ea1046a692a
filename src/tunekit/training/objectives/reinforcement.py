r"""Reinforcement fine-tuning: answers are drawn, graded, and made more or less likely. Knows one loss; grades nothing.

To each prompt x of a step, the model as it is draws a group of answers y_1 .. y_G, and with A_i = r_i - mean(r)

    L = -1/T sum_i A_i log p(y_i | x) + w/T sum_t (p_ref/p - log(p_ref/p) - 1),      T tokens in all answers of the step

GRPO (Shao et al. 2024, arXiv 2402.03300, equations 3 and 4) without the division by the group's spread and with one
mean over the tokens of a step, so that no answer counts more for being short (Liu et al. 2025, arXiv 2503.20783,
section 3). The second sum is the distance to the model before training, by the k3 estimator of Schulman 2020,
"Approximating KL divergence". Answers are used for one step and then forgotten, so the policy that drew them is the
one that learns: its ratio is 1, and there is nothing to clip. That policy is the model at the temperature of the draw,
and so is p.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from functools import partial
from typing import Any, ClassVar, TypeAlias

import torch

from tunekit.errors import DataError
from tunekit.examples import Example, PromptExample, message_to_dict
from tunekit.graders import Grader, Sample, parse
from tunekit.spec import RFT
from tunekit.training.models import load
from tunekit.training.models.families import Head
from tunekit.training.models.language_model import LanguageModel, Scored
from tunekit.training.objectives.base import Learner, Loss, Objective, Passes
from tunekit.training.objectives.drawing import Draw, Drawn, draw
from tunekit.training.objectives.reference import evaluating
from tunekit.training.objectives.rewards import Group, Question, all_grades, grouped
from tunekit.training.objectives.texts import Texts
from tunekit.training.plan.device import Device
from tunekit.training.serving.sampling import DrawKey
from tunekit.training.texts import pairs, render
from tunekit.training.texts.reading import text_of
from tunekit.training.texts.template import stop_ids
from tunekit.training.texts.tool_calls import split_calls

Weights: TypeAlias = Mapping[str, torch.Tensor]


@dataclass(frozen=True, slots=True)
class Reinforcing(Objective[Question]):
    """RFT before there are weights. A row is a question; its answers are drawn when it falls to a step.

    Attributes:
        texts: How prompts are written.
        method: What was asked for.
        grader: Its grader.
        warn: Told what is left out of a step.
        trouble: What the grader said of an empty answer to the first question, if it failed.
    """

    texts: Texts
    method: RFT
    grader: Grader
    warn: Callable[[str], object]
    trouble: str = ""
    head: ClassVar[Head] = "tokens"

    @classmethod
    def of(
        cls, method: RFT, texts: Texts, examples: Iterable[Example], warn: Callable[[str], object]
    ) -> Reinforcing:
        """Read the grader, and try it on the first example.

        Raises:
            SpecError: The grader is wrong.
            UnsupportedError: It needs a judge, which a training process has not.
            MissingExtraError: It needs a library that is not installed.
        """
        grader = parse(method.grader)
        first = next(iter(examples), None)
        tried = grader.grade(Sample(""), _item(first)) if isinstance(first, PromptExample) else None
        failed = tried is not None and tried.error is not None and not tried.error.blames_answer
        trouble = f"{tried.error.flag}: {tried.error.detail}" if failed and tried and tried.error else ""
        return cls(texts, method, grader, warn, trouble)

    def row(self, example: Example) -> Question:
        """See `Objective.row`."""
        if not isinstance(example, PromptExample):
            raise DataError(
                f"row {example.id!r}: a {example.kind} example is no prompt to be answered",
                hint="use prompt examples, or another method",
            )
        item = _item(example)
        missing = self.grader.missing(item)
        if missing:
            raise DataError(
                f"row {example.id!r}: the grader reads what is not there: {'; '.join(missing[:5])}",
                hint="add it to the row's reference fields, or change the grader's templates",
            )
        return Question(
            id=example.id,
            prompt=tuple(self._prompt(example)),
            item=item,
            copies=self.method.group_size,
            max_tokens=self.method.max_tokens,
            encoded=self.texts.family == "encoder-decoder",
            calls_tools=bool(example.tools),
            is_continued=self._is_text(example)
            and self.texts.template.adds_space
            and self.texts.family == "decoder",
        )

    def learner(self, module: Any, device: Device, *, longest: int) -> ReinforcementLearner:
        """See `Objective.learner`."""
        template = self.texts.template
        return ReinforcementLearner(
            model=self.texts.language_model(module, device, longest=longest),
            method=self.method,
            grader=self.grader,
            read=partial(text_of, template.tokenizer),
            stops=stop_ids(template, load.config_stop_ids(module)),
            start=_copied(module) if self.method.kl_weight else {},
            warn=self.warn,
        )

    def shortened(self, row: Question, max_length: int) -> Question | None:
        """See `Objective.shortened`."""
        begin = self.texts.template.begin
        kept = row.prompt[:1] if begin is not None and row.prompt[:1] == (begin,) else ()
        room = (max_length if row.encoded else max_length - row.max_tokens) - len(kept)
        if row.max_tokens > max_length or room < 1:
            return None
        return replace(row, prompt=kept + row.prompt[len(kept) :][-room:])

    def rewritten(self, row: Question, example: Example) -> Question:
        """See `Objective.rewritten`. The grader reads the question as it was."""
        return replace(self.row(example), item=row.item)

    def facts(self, rows: Sequence[Question], stop_ids: Sequence[int]) -> dict[str, Any]:
        """See `Objective.facts`."""
        decode = self.texts.template.tokenizer.decode
        return {
            "answers_per_step_and_row": self.method.group_size,
            "tokens_are": f"at most: answers are drawn while training, of up to {self.method.max_tokens} tokens",
            "stop_tokens": [decode([token]) for token in stop_ids],
            "sample": decode(list(rows[0].prompt)) + "⟦...⟧",
        }

    def warnings(self, rows: Sequence[Question], stop_ids: Sequence[int], *, part: str) -> list[str]:
        """See `Objective.warnings`."""
        if part != "training" or not self.trouble:
            return []
        return [f"the grader fails on an empty answer ({self.trouble}); rows on which it fails are left out"]

    def _prompt(self, example: PromptExample) -> list[int]:
        template, form, tools = self.texts.template, self.texts.prompt_format, example.tools
        asked = (example.messages[0].content or "") if self._is_text(example) else example.messages
        if self.texts.family == "encoder-decoder":
            return pairs.render_source(template, asked, form, tools=tools)
        ids = render.render_prompt(template, asked, form, tools=tools)
        if not ids:
            raise DataError(f"row {example.id!r}: the prompt is empty", hint="leave the row out")
        return ids

    def _is_text(self, example: PromptExample) -> bool:
        """Whether the prompt is written as it is, and no chat."""
        return len(example.messages) == 1 and not example.tools and self.texts.prompt_format == "text"


@dataclass(frozen=True, slots=True, kw_only=True)
class ReinforcementLearner(Learner[Any]):
    """RFT with the model at hand.

    Attributes:
        model: The model.
        method: What was asked for.
        grader: Grades its answers.
        read: Token ids to text, as `text_of`.
        stops: Tokens that end an answer.
        start: Trainable weights before training; empty where nothing is held against them.
        warn: Told what is left out.
    """

    model: LanguageModel
    method: RFT
    grader: Grader
    read: Callable[..., str]
    stops: tuple[int, ...]
    start: Weights
    warn: Callable[[str], object]
    idle_reason: ClassVar[str] = "all answers to a question got the same reward, whatever they said"
    idle_hint: ClassVar[str] = (
        "let the grader tell answers apart, for example by giving part of the points; if it does, the questions may be "
        "too easy or too hard for this model, or answers too much alike: raise group_size or temperature"
    )

    def drawn(self, rows: Sequence[Question], passes: Passes) -> list[Group]:
        """See `Learner.drawn`: a group of answers to each question, or one greedy answer where it is evaluated."""
        learns = self.model.module.training
        if learns:
            base = int(torch.randint(1 << 62, ()))  # follows from (seed, step): see the loop
            rows = [replace(row, keys=_keys(base, at, row.copies)) for at, row in enumerate(rows)]
        else:
            rows = [replace(row, copies=1, keys=(b"",)) for row in rows]
        how = Draw(
            max_tokens=self.method.max_tokens,
            temperature=self.method.temperature if learns else 0.0,
            stops=self.stops,
        )

        def answers(cut: Sequence[Question]) -> list[list[dict[str, Any]]]:
            found = draw(self.model, [row.prompt for row in cut], [row.keys for row in cut], how)
            return [[asdict(answer) for answer in group] for group in found]

        drawn = [[Drawn.of(answer) for answer in group] for group in passes(rows, answers)]
        answered = list(zip(rows, drawn, strict=True))
        # Graders may be programs, and need not say the same twice.
        grades = passes.decided(lambda: all_grades(answered, self.grader, self._sample))
        return grouped(answered, grades, warn=self.warn, is_step=learns)

    def teaches(self, rows: Sequence[Group]) -> bool:
        """See `Learner.teaches`: groups whose answers are all as good as each other say nothing."""
        return any(row.teaches for row in rows)

    def loss(self, rows: Sequence[Group]) -> Loss:
        """The formula above, summed over the answers; where the model is evaluated, less the sum of rewards."""
        metrics = _metrics(rows, self.model.device.name)
        if not self.model.module.training:
            return Loss(total=-metrics["reward"], metrics=metrics)
        kl_weight = self.method.kl_weight
        learned = [row for row in rows if row.teaches or kl_weight]
        if not learned:
            return Loss(total=_nothing(self.model.module), metrics=metrics)
        scored = self.model.score(learned, temperature=self.method.temperature)
        advantages = _values([value for row in learned for value in row.advantages], scored.log_probs)
        total = -(advantages[scored.answers] * scored.log_probs).sum()
        metrics["draw_mismatch"] = _mismatch(learned, scored)
        if kl_weight:
            distance = self._distance(learned, scored)
            total = total + kl_weight * distance.sum()
            sums = distance.new_zeros(scored.count).index_add(0, scored.answers, distance.detach())
            metrics["kl"] = _by_row(sums / scored.lengths(), learned)
        return Loss(total=total, metrics=metrics)

    def _distance(self, rows: Sequence[Group], scored: Scored) -> torch.Tensor:
        """The k3 estimate of KL(p || p_ref) at each token, shape (targets,)."""
        module = self.model.module
        with torch.no_grad(), evaluating(module), _weights(module, self.start):
            reference = self.model.score(rows, temperature=self.method.temperature).log_probs
        ahead = reference - scored.log_probs
        return ahead.exp() - ahead - 1.0

    def _sample(self, question: Question, answer: Drawn) -> Sample:
        ids = list(answer.ids[:-1] if answer.stopped else answer.ids)
        text = self.read(ids, before=question.prompt if question.is_continued else ())
        text, calls = split_calls(text) if question.calls_tools else (text, ())
        reason = "length" if not answer.stopped else "tool_calls" if calls else "stop"
        return Sample(text, calls, reason)


def _item(example: PromptExample) -> dict[str, Any]:
    """What OpenAI calls the item: the row as it was, without what only we know of it."""
    return {"messages": [message_to_dict(message) for message in example.messages], **example.reference}


def _keys(base: int, at: int, copies: int) -> tuple[DrawKey, ...]:
    """Of the answers to the question at place `at` of a step; hashed, so that neighbours are unrelated."""
    told = (f"tunekit draw {base} {at} {copy}" for copy in range(copies))
    return tuple(hashlib.blake2b(text.encode(), digest_size=32).digest() for text in told)


def _metrics(rows: Sequence[Group], device: str) -> dict[str, torch.Tensor]:
    """Sums over the groups of what is known of each."""
    found: dict[str, list[float]] = {}
    for row in rows:
        count, rewards = len(row.answers), torch.tensor(row.rewards, dtype=torch.float64)
        facts = {
            "reward": float(rewards.mean()),
            "reward_std": float(rewards.std(correction=0)),
            "answer_tokens": row.target_count / count,
            "truncated_share": row.cut / count,
            "unreadable_share": row.unreadable / count,
            "zero_advantage_share": float(not row.teaches),
            "grader_error_share": row.failed,
        }
        for name, value in facts.items():
            found.setdefault(name, []).append(value)
    return {
        name: torch.tensor(values, dtype=torch.float64).sum().to(device) for name, values in found.items()
    }


def _values(values: Sequence[float], like: torch.Tensor) -> torch.Tensor:
    return torch.tensor(values, dtype=like.dtype, device=like.device)


def _mismatch(rows: Sequence[Group], scored: Scored) -> torch.Tensor:
    """How far log-probabilities of answers are from what they were drawn with: 0 but for rounding and dropout."""
    drawn = _values([value for row in rows for value in row.log_probs], scored.log_probs)
    return _by_row((scored.by_answer().detach() - drawn).abs(), rows)


def _by_row(values: torch.Tensor, rows: Sequence[Group]) -> torch.Tensor:
    """Means over each row's answers, added up; `values` are of the answers."""
    return values.view(len(rows), -1).mean(1).sum()


def _nothing(module: Any) -> torch.Tensor:
    """0, of which a gradient can be asked."""
    trained: torch.Tensor = next(value for value in module.parameters() if value.requires_grad)
    return 0.0 * trained.sum()


def _copied(module: Any) -> Weights:
    """Weights as training finds them. For LoRA that is little; for full weights, another model's worth."""
    return {name: value.detach().clone() for name, value in module.named_parameters() if value.requires_grad}


@contextmanager
def _weights(module: Any, weights: Weights) -> Iterator[None]:
    """Inside, the module has other weights."""
    own = {name: value for name, value in module.named_parameters() if name in weights}
    kept = {name: value.data for name, value in own.items()}
    for name, value in own.items():
        value.data = weights[name]
    try:
        yield
    finally:
        for name, value in own.items():
            value.data = kept[name]
