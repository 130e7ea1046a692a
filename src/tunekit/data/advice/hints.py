"""What data are for and how to begin: the task and why, classes, marks, a `TuneSpec`, a held-out set, advice.

`statistics` counts, `beginnings` knows the rules of thumb; this puts them together. Nothing here is a promise: it is
where an experienced person would start before having measured anything.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from tunekit.data.advice import beginnings
from tunekit.data.checks.base import CheckContext
from tunekit.data.patterns.veil import veiled, veiled_json
from tunekit.data.statistics import Statistics, by_frequency
from tunekit.data.wording import brief, counted
from tunekit.examples import Example

if TYPE_CHECKING:
    from tunekit.spec import TuneSpec

Task = Literal["classification", "generation", "open-ended"]

_POSITIVE_NAMES = frozenset({"1", "true", "t", "yes", "y", "positive", "pos"})
_SHOWN_CLASSES = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Hints:
    r"""What the data look like, and how to begin.

    Attributes:
        rows: How many rows there are.
        kinds: How many of each example kind.
        task: "classification", "generation", or "open-ended" for text that is only continued.
        reason: Why it looks like that.
        classes: Rows of each class, most frequent first; empty unless it is classification.
        positive_class: Of two classes the one that precision and recall are about; "" otherwise.
        positive_reason: Why that one.
        separator: What prompts end with, which a prompt must end with at serving time, too; "" where there is none.
        stop: What completions end with, for `Sampling(stop=...)`; empty where there is none.
        spec: The recipe to start from; None where something must be done first, which `advice` says.
        test: What to pass to `Dataset.split(test=...)`; None where there is too little to hold out, or that is done.
        is_train: Whether a test part has been taken away already.
        target: Where to train, as it was asked about; "" where nobody said.
        advice: What else to do or to know, most important first.

    Examples:
        >>> from tunekit.examples import CompletionExample
        >>> rows = [CompletionExample(prompt=f"{i} parcels", completion="many" if i % 5 else "few") for i in range(60)]
        >>> hints = infer(rows)
        >>> hints.task, hints.classes, hints.positive_class, hints.test
        ('classification', {'many': 48, 'few': 12}, 'few', 0.2)
        >>> hints.spec.epochs
        3.0
    """

    rows: int
    kinds: Mapping[str, int]
    task: Task
    reason: str
    classes: Mapping[str, int] = field(default_factory=dict)
    positive_class: str = ""
    positive_reason: str = ""
    separator: str = ""
    stop: tuple[str, ...] = ()
    spec: TuneSpec | None = None
    test: float | int | None = None
    is_train: bool = False
    target: str = ""
    advice: tuple[str, ...] = ()

    @property
    def code(self) -> str:
        """The lines of Python that begin with these hints; "" where there is no spec to begin with."""
        if self.spec is None:
            return ""
        split = "" if self.is_train else "train = data\n"
        if self.test:
            split = f"train, test = data.split(test={self.test:g}, seed=0)\n"
        target = repr(self.target or "local:<model>")
        return f"{split}job = tk.FineTuneJob.submit(train, {target}, {beginnings.code_of(self.spec)})"

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON. Secrets and personal data are masked."""
        body = {
            "rows": self.rows,
            "kinds": dict(self.kinds),
            "task": self.task,
            "reason": self.reason,
            "classes": dict(self.classes),
            "positive_class": self.positive_class,
            "positive_reason": self.positive_reason,
            "separator": self.separator,
            "stop": list(self.stop),
            "spec": self.spec.model_dump(mode="json") if self.spec else None,
            "test": self.test,
            "is_train": self.is_train,
            "target": self.target,
            "advice": list(self.advice),
            "code": self.code,
        }
        return veiled_json(body)

    def __str__(self) -> str:
        lines = [f"{self.task}: {self.reason}", *self._lines(), *self.code.splitlines()]
        return veiled("\n".join(lines))

    def _lines(self) -> Iterator[str]:
        if self.classes:
            shown = [
                f"{brief(name)} {count:,}" for name, count in list(self.classes.items())[:_SHOWN_CLASSES]
            ]
            more = (
                f", and {len(self.classes) - _SHOWN_CLASSES} more"
                if len(self.classes) > _SHOWN_CLASSES
                else ""
            )
            yield f"classes: {', '.join(shown)}{more}"
        if self.positive_class:
            yield f"positive class: {brief(self.positive_class)}, {self.positive_reason}"
        if self.separator:
            yield f"prompts must end with {brief(self.separator)} when the model is used, too"
        if self.stop:
            yield f"stop sequence: {', '.join(map(brief, self.stop))}"
        yield from (f"- {text}" for text in self.advice)


def infer(
    examples: Iterable[Example] | Statistics, context: CheckContext | None = None, *, is_train: bool = False
) -> Hints:
    """Look at rows and say what they are for. One pass, at bounded memory.

    Args:
        examples: Rows, or `Statistics` that have seen them all.
        context: The target and prompt format that the data are for.
        is_train: Whether a test part has been taken away already.
    """
    found = examples if isinstance(examples, Statistics) else _counted(examples)
    context = context or CheckContext()
    task, reason = _task(found)
    classes: dict[str, int] = veiled_json(_classes(found))
    positive, positive_reason = _positive(classes)
    profile = context.profiles[0] if context.profiles else None
    stop = found.completions.mark
    return Hints(
        rows=found.rows,
        kinds=by_frequency(found.kinds),
        task=task,
        reason=reason,
        classes=classes,
        positive_class=positive,
        positive_reason=positive_reason,
        separator=found.prompts.mark,
        stop=(stop.rstrip() or stop,) if stop else (),
        spec=beginnings.spec_for(found, context, len(classes)),
        test=None if is_train else beginnings.held_out(found.rows),
        is_train=is_train,
        target=f"{profile.name}:{profile.model}" if profile and profile.model else "",
        advice=(
            *beginnings.first_steps(found, context),
            *_advice(found, context, classes),
            *(() if is_train else _on_holding_out(found.rows)),
        ),
    )


def _counted(examples: Iterable[Example]) -> Statistics:
    found = Statistics()
    for example in examples:
        found.see(example)
    return found


# --- what it looks like ---------------------------------------------------------------------------------


def _task(found: Statistics) -> tuple[Task, str]:
    if len(found.kinds) > 1:
        return "generation", f"there are rows of several kinds: {_listed(found.kinds)}"
    kind = next(iter(found.kinds), "no")
    if kind == "labelled":
        return "classification", f"every row has a label, one of {len(found.labels):,}"
    if kind == "completion" and not found.prompts.count:
        return "open-ended", "no row has a prompt, so the model learns to continue text"
    if kind in ("completion", "chat"):
        return _by_answers(found)
    return "generation", f"these are {kind} rows, which are about whole answers"


def _by_answers(found: Statistics) -> tuple[Task, str]:
    answers = found.answers
    rows = counted(answers.count, "row")
    if answers.counts is None:
        many = (
            "an answer is longer than a class's name"
            if answers.long
            else f"there are too many answers in {rows}"
        )
        return "generation", many
    different = f"{counted(len(answers.counts), 'different answer')} in {rows}"
    if answers.classes:
        return "classification", f"{different}, all short and fewer than one for every three rows"
    return "generation", f"{different}, one or more for every three rows"


def _classes(found: Statistics) -> dict[str, int]:
    if len(found.kinds) > 1:
        return {}
    if found.labels:
        return by_frequency(found.labels)
    counts: defaultdict[str, int] = defaultdict(int)
    for answer, count in found.answers.classes.items():
        counts[answer.removesuffix(found.completions.mark.strip()).strip() or answer] += count
    return by_frequency(counts)


def _positive(classes: Mapping[str, int]) -> tuple[str, str]:
    """Of two classes the one that a report should be about: what is looked for is usually named so, or rare."""
    if len(classes) != 2:
        return "", ""
    frequent, rare = classes
    named = [name for name in classes if name.casefold() in _POSITIVE_NAMES]
    if len(named) == 1:
        return named[0], "by its name"
    if classes[frequent] == classes[rare]:
        return rare, "though both are as frequent, so choose the one that you look for"
    return rare, "the rarer of the two"


# --- what else to know ----------------------------------------------------------------------------------


def _advice(found: Statistics, context: CheckContext, classes: Mapping[str, int]) -> Iterator[str]:
    yield from _on_classes(classes)
    if classes:
        yield "telling classes apart is learned by small models, too: begin with the smallest that may do"
    if context.prompt_format == "chat" and (found.prompts.mark.strip() or found.completions.mark.strip()):
        marks = " and ".join(
            brief(mark) for mark in (found.prompts.mark, found.completions.mark) if mark.strip()
        )
        yield f"{marks} mark prompts for a base model; a chat model needs none and would learn to say them"
    if context.prompt_format == "text" and found.completions.prefix[:1] == " ":
        yield "answers begin with a space, as the completions do: strip it"


def _on_holding_out(rows: int) -> Iterator[str]:
    if beginnings.held_out(rows) is None:
        yield f"{counted(rows, 'row')}: too few to hold any out; collect more before you trust a result"
    else:
        yield "hold out rows that are never trained on; split() puts no input on both sides and keeps class shares"


def _on_classes(classes: Mapping[str, int]) -> Iterator[str]:
    folded: defaultdict[str, list[str]] = defaultdict(list)
    for name in classes:
        folded[name.casefold()].append(name)
    for names in folded.values():
        if len(names) > 1:
            yield f"{' and '.join(map(brief, names))} differ only in case: make them one class first"
    if len(classes) == 1:
        yield "there is one class only, so there is nothing to tell apart"
    single = [name for name, count in classes.items() if count == 1]
    if single and len(classes) > 1:
        yield f"{len(single)} of {len(classes)} classes have one row, such as {brief(single[0])}: it cannot be tested"


def _listed(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{count:,} {name}" for name, count in by_frequency(counts).items())
