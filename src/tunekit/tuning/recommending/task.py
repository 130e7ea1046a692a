"""What the data are, how they are parted, and what each technique is for them. Knows rows and specs; asks no model."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

from tunekit.data.splitting.ranks import input_key
from tunekit.data.wording import counted
from tunekit.errors import DataError, SpecError
from tunekit.examples import ChatExample, LabelledExample
from tunekit.spec import SFT, Classify, FullWeights, LoRA, Probe, TuneSpec
from tunekit.tuning.recommending.results import Technique
from tunekit.tuning.subsets import Nested

if TYPE_CHECKING:
    from tunekit.backends.capabilities import Capabilities
    from tunekit.data.dataset import Dataset

TaskKind: TypeAlias = Literal["classification", "generation"]
MOST_DEV = 1_000
_DEV_SHARE, _FEW_DEV = 0.2, 100
_FEWEST_ROWS = 20
_FEWEST_PART = 10
_PARTS = (4, 2, 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """Data, parted into what is trained on and what everything is scored on.

    Attributes:
        kind: Whether classes are told apart, or text is written.
        train: Rows to train on and to show.
        dev: Rows to score on.
        classes: Rows of train by class; empty for generation.
        nested: Growing parts of train.
        n_kept_out: Rows that were left out because the test has them.
        system: The message that every chat began with, and that was left out where classes are told apart.
    """

    kind: TaskKind
    train: Dataset
    dev: Dataset
    classes: Counter[str]
    nested: Nested
    n_kept_out: int = 0
    system: str = ""

    @property
    def commonest(self) -> str | None:
        """The most frequent class, of several the first in the alphabet; None for generation."""
        return min(self.classes, key=lambda name: (-self.classes[name], name), default=None)

    def sizes(self) -> tuple[int, ...]:
        """Rows that a probe learns from: a quarter, half and all, each with room for every class."""
        rows = len(self.train)
        least = max(_FEWEST_PART, len(self.classes))
        return tuple(dict.fromkeys(rows // part for part in _PARTS if part == 1 or rows // part >= least))

    def small_size(self, most: int) -> int:
        """Rows that a dear technique is tried with: all of them, or the part that the probe was measured with."""
        fitting = [size for size in self.sizes() if size <= most]
        return max(fitting) if fitting else self.sizes()[0]

    def spec(self, technique: Technique, capabilities: Capabilities, seed: int) -> TuneSpec:
        """The recipe of a technique that trains."""
        if technique == "probe":
            return TuneSpec(method=Probe(), epochs=1, seed=seed)
        adapter = LoRA() if technique == "adapter" else FullWeights()
        is_class = self.kind == "classification" and "classify" in capabilities.methods
        method = Classify(adapter=adapter) if is_class else SFT(adapter=adapter)
        return TuneSpec(method=method, epochs="auto", seed=seed)

    def rows_for(self, spec: TuneSpec, size: int) -> Dataset:
        """The first `size` rows, as this method takes them."""
        return taken_by(spec, self.nested.part(size))


def parted(data: Dataset, *, test: Dataset | None, dev: float | int | None, seed: int) -> Task:
    """The data as a task.

    Raises:
        SpecError: They are of a kind that is not weighed here, or too few.
    """
    kept = _without(data, test)
    kind, rows = _recognised(kept)
    if len(rows) < _FEWEST_ROWS:
        raise SpecError(
            f"{counted(len(rows), 'row')} to measure on",
            hint=f"collect {_FEWEST_ROWS} or more: with fewer no technique can be told from another",
        )
    train, held = rows.split(test=dev if dev is not None else _dev_size(len(rows)), seed=seed)
    return Task(
        kind=kind,
        train=train,
        dev=held,
        classes=train.targets() if kind == "classification" else Counter(),
        nested=Nested(train, seed=seed),
        n_kept_out=len(data) - len(kept),
        system=_system(kept) if kind == "classification" else "",
    )


def taken_by(spec: TuneSpec, data: Dataset) -> Dataset:
    """Rows as the method of a recipe learns from them.

    Raises:
        DataError: A row's answer is no label.
    """
    method = spec.method.type
    if method in ("classify", "probe"):
        return labelled(data)
    return data.to_completion() if method == "sft" and data.kinds == {"labelled"} else data


def labelled(data: Dataset) -> Dataset:
    """Texts with their labels; a system message that is the same everywhere tells no class from another.

    Raises:
        DataError: A row's answer is no label, or what it asks is more than a text.
    """
    if data.kinds == {"chat"} and _system(data):
        data = data.map(
            lambda row: row.replace(messages=row.messages[1:]) if isinstance(row, ChatExample) else row
        )
    return data.to_labelled()


def _system(data: Dataset) -> str:
    """The system message that every chat begins with; "" where there is none, or several."""
    said = {
        row.messages[0].content or "" if row.messages[0].role in ("system", "developer") else ""
        for row in data
        if isinstance(row, ChatExample) and row.messages
    }
    return said.pop() if len(said) == 1 else ""


def _dev_size(rows: int) -> int:
    """A fifth, at most 1,000; of few rows up to a third, since fewer than 100 items tell little."""
    return min(MOST_DEV, max(round(rows * _DEV_SHARE), min(_FEW_DEV, rows // 3)))


def _without(data: Dataset, test: Dataset | None) -> Dataset:
    if test is None:
        return data
    tested = {input_key(example) for example in test}
    return data.filter(lambda example: input_key(example) not in tested)


def _recognised(data: Dataset) -> tuple[TaskKind, Dataset]:
    if len(data.kinds) != 1 or not data.kinds <= {"labelled", "completion", "chat"}:
        raise SpecError(
            f"the data hold {' and '.join(sorted(data.kinds)) or 'no'} examples",
            hint="pass labelled, completion or chat rows of one kind: their answers say what is right",
        )
    if data.kinds == {"labelled"}:
        if any(not isinstance(row.label, str) for row in data if isinstance(row, LabelledExample)):
            raise SpecError(
                "some rows have several labels", hint="techniques are weighed for one label a row as yet"
            )
        return "classification", data
    if data.hints().task != "classification":
        return "generation", data
    try:
        return "classification", labelled(data)
    except DataError:
        return "generation", data  # answers that repeat, to questions that are more than a text
