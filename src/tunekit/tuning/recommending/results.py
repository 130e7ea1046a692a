"""A recommendation as a value: each technique, what was measured or estimated of it, and the choice. Trains nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, TypeAlias

from pydantic import Field

from tunekit.errors import NotFoundError, SpecError
from tunekit.evaluation.records import Record
from tunekit.evaluation.stats import Interval
from tunekit.spec import TuneSpec

if TYPE_CHECKING:
    from tunekit.data.dataset import Dataset

Technique: TypeAlias = Literal["zero-shot", "few-shot", "probe", "adapter", "full"]
TECHNIQUES: tuple[Technique, ...] = ("zero-shot", "few-shot", "probe", "adapter", "full")
"""From the least to train to the most."""

Basis: TypeAlias = Literal["measured", "estimated", "unknown", "not possible"]
Confidence: TypeAlias = Literal["settled", "likely", "open"]


class Estimate(Record):
    """A guess from other data sets, which is no measurement and has no confidence level.

    Attributes:
        low: The least that was seen elsewhere, carried over to these data.
        middle: The median.
        high: The most.
        source: What it rests on.

    Examples:
        >>> Estimate(low=0.8, middle=0.84, high=0.9, source="pairs of probe and tuned model").high
        0.9
    """

    low: float
    middle: float
    high: float
    source: str


class Option(Record):
    """One technique, and what is known of it for these data.

    Attributes:
        technique: Which.
        basis: `"measured"` on dev; `"estimated"` from other data sets; `"unknown"`: nobody can say before it is
            measured; `"not possible"` here.
        why: Why it was not measured, or what to know of the measurement; "" where there is nothing.
        rows: Training rows that the measurement used; all examples that were to choose from, for few-shot.
        quality: The score on dev with its interval; None unless it was measured.
        estimate: What it may score; None unless it was estimated.
        behind: By how much the best measured one does better on the same items, with its interval; 0 of itself, None
            unless it was measured.
        behind_se: Standard error of that.
        run_id: The job that was measured.
        model: What was asked, as a reference.
        training_usd: What training on all rows costs, in US dollars; None where nobody knows.
        training_seconds: What it takes; None where nobody knows.
        is_training_estimated: Whether these two are of a job that was not run.
        usd_per_1000_calls: What a thousand answers cost; None where nobody knows.
        seconds_per_1000_calls: What they take; None where it was not measured.

    Examples:
        >>> Option(technique="probe", basis="not possible", why="no frozen features").quality is None
        True
    """

    technique: Technique
    basis: Basis
    why: str = ""
    rows: int = 0
    quality: Interval | None = None
    estimate: Estimate | None = None
    behind: Interval | None = None
    behind_se: float | None = None
    run_id: str = ""
    model: str = ""
    training_usd: float | None = None
    training_seconds: float | None = None
    is_training_estimated: bool = False
    usd_per_1000_calls: float | None = None
    seconds_per_1000_calls: float | None = None

    @property
    def is_measured(self) -> bool:
        """Whether its quality was measured."""
        return self.quality is not None


class Recommendation(Record):
    """Which technique to use for these data, why, and how sure that is. Print it for a table with the reasons.

    Attributes:
        method: The technique to use.
        confidence: `"settled"`: nothing else can be better by more than noise, as far as measured and estimated, on 100
            dev items or more.
            `"likely"`: something may be, and probably is not. `"open"`: something may well be, and `next_steps` says
            what to measure.
        verdict: That in a sentence.
        spec: The recipe to train with on all of the data, as `prepare` makes them; None where nothing should be
            trained.
        reasons: Why, in words and numbers.
        next_steps: What to do next; what is open and how to settle it.
        options: Each technique, from the least to train to the most.
        target: What was asked about.
        task: `"classification"` or `"generation"`.
        metric: What decides.
        higher_is_better: Which way is up.
        is_share: Whether it is a share of right answers.
        embeds: Whether the model writes nothing as it is, so that zero-shot and few-shot are the nearest class by its
            embeddings: to the class's name, and to examples of it.
        majority: What always giving the commonest answer scores; None where there are no classes.
        n_train: Rows that were trained on and shown.
        n_dev: Rows that everything was scored on.
        classes: How many there are; 0 for generation.
        margin: Largest difference that does not matter.
        seed: Of the parts and of training.
        train_fingerprint: Of the rows that were trained on.
        dev_fingerprint: Of those that everything was scored on.
        cost_usd: What the jobs of this recommendation cost; None where it is not known of one.
        warnings: What to know before believing it.

    Examples:
        >>> import tunekit as tk
        >>> from tunekit.store import MemoryStore
        >>> from tunekit.testing import ScriptedBackend
        >>> from tunekit import recommend
        >>> rows = [{"text": f"parcel {n}", "label": "even" if n % 2 else "odd"} for n in range(500)]
        >>> data = tk.Dataset.from_records(rows, input="text", target="label", kind="labelled")
        >>> knows = lambda prompt, choice: float(choice == ("even" if int(prompt.split()[1]) % 2 else "odd"))
        >>> found = recommend(
        ...     data, "scripted:m", backend=ScriptedBackend(score=knows), store=MemoryStore(), template="{text}")
        >>> found.method, found.confidence, found.spec
        ('zero-shot', 'settled', None)
        >>> Recommendation.from_json(found.to_json()) == found
        True
    """

    schema_version: Literal[1] = 1
    method: Technique
    confidence: Confidence
    verdict: str
    spec: TuneSpec | None = Field(default=None, repr=False)
    reasons: tuple[str, ...] = Field(default=(), repr=False)
    next_steps: tuple[str, ...] = Field(default=(), repr=False)
    options: tuple[Option, ...] = Field(repr=False)
    target: str
    task: Literal["classification", "generation"]
    metric: str
    higher_is_better: bool = True
    is_share: bool = True
    embeds: bool = False
    majority: float | None = None
    n_train: int
    n_dev: int
    classes: int = 0
    margin: float = 0.0
    seed: int = 0
    train_fingerprint: str = Field(repr=False)
    dev_fingerprint: str = Field(repr=False)
    cost_usd: float | None = None
    warnings: tuple[str, ...] = ()

    def __getitem__(self, technique: str) -> Option:
        for option in self.options:
            if option.technique == technique:
                return option
        raise NotFoundError(
            f"no technique {technique!r} in this recommendation", hint=f"there are: {', '.join(TECHNIQUES)}"
        )

    def __str__(self) -> str:
        from tunekit.tuning.recommending.words import render

        return render(self)

    def prepare(self, data: Dataset) -> Dataset:
        """Your rows as `spec` takes them, such as answers as labels for a probe; as they are where it takes those.

        Args:
            data: What `recommend` was asked about, or more of the same.

        Raises:
            SpecError: Nothing should be trained, so there is no recipe.
            DataError: A row's answer is no label.
        """
        from tunekit.tuning.recommending.task import taken_by

        if self.spec is None:
            raise SpecError(f"{self.method} trains nothing", hint="ask the model as it is")
        return taken_by(self.spec, data)

    @property
    def chosen(self) -> Option:
        """The technique to use."""
        return self[self.method]
