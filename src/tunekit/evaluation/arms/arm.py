"""One way to answer the questions of a test: a model, and how it is asked. Knows prompts and names; asks nobody."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

from tunekit._canonical import fingerprint_rows
from tunekit._clock import Clock
from tunekit._settings import Settings
from tunekit.backends import registry
from tunekit.backends.base import Backend, Prompt
from tunekit.data.arguments import whole
from tunekit.data.splitting.shots import Selection
from tunekit.errors import SpecError
from tunekit.evaluation.arms.costs import CallPrice, checked_usd
from tunekit.evaluation.arms.demonstrations import Demonstrations, demonstrated
from tunekit.evaluation.arms.functions import (
    NAME,
    AnswerFunction,
    Answers,
    FunctionBackend,
    function_of,
    name_of,
)
from tunekit.evaluation.arms.nearest import NearestBackend, Prototypes
from tunekit.evaluation.arms.record import ArmRecord
from tunekit.evaluation.arms.templates import Template
from tunekit.evaluation.items import Item
from tunekit.evaluation.results import Evaluation
from tunekit.evaluation.running.purse import Purse
from tunekit.evaluation.running.runner import Bounds
from tunekit.examples import message_to_dict
from tunekit.refs import ModelRef

Model: TypeAlias = str | AnswerFunction | Answers
"""`"<backend>:<model>"`, a function of the prompt (sync or async), or an object with a method `generate`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Arm:
    """A model, and how it is asked. `zero_shot`, `few_shot` and `nearest` make the usual ones.

    Attributes:
        model: A reference, a function that takes the prompt and returns the answer's text, or an object with such a
            `generate`. It takes a text, or a chat as a list of dictionaries in OpenAI's shape. A sync one runs in a
            thread of its own, one question at a time; an async one is awaited, several at once. What it raises, and
            an answer that is no text, is an error of that item.
        name: What it is called beside other arms; of itself, the model's name.
        template: How the question is put; None asks it as it stands in the test.
        shown: What is shown before the question; None shows nothing.
        prototypes: What stands for each class, for a model that embeds and is not asked to generate; see `nearest`.
        draws: How often it is asked everything, each time with other demonstrations; its scores are the means.
        trained: Whether it was trained for this task, so that "should I train?" is a question about it.
        training_usd: What that cost, once, in US dollars; None where nobody knows.
        price: What a call costs; None where nobody knows.

    Raises:
        SpecError: The model is none, or a number is out of range.
        RefError: The model is text, but not a reference.

    Examples:
        >>> Arm(model=lambda prompt: "delivery", name="always delivery").ref
        ModelRef('function:always delivery')
        >>> Arm(model="openai:gpt-4o-mini").name
        'openai:gpt-4o-mini'
    """

    model: Model
    name: str = ""
    template: Template | None = None
    shown: Demonstrations | None = None
    prototypes: Prototypes | None = None
    draws: int = 1
    trained: bool = False
    training_usd: float | None = None
    price: CallPrice | None = None

    def __post_init__(self) -> None:
        model = ModelRef(self.model) if isinstance(self.model, str) else self.model
        if not isinstance(model, str):
            function_of(model)  # refuses what cannot be called
        object.__setattr__(self, "model", model)
        object.__setattr__(self, "name", self.name or _called(model))
        if self.prototypes and (self.template or self.shown or not isinstance(model, str)):
            raise SpecError(
                "the nearest class is found by a model that embeds the question as it stands",
                hint="use nearest(model, ...), without a template and examples before the question",
            )
        whole("draws", self.draws, least=1)
        checked_usd("training_usd", self.training_usd)
        if self.draws > 1 and (self.shown is None or self.shown.selection not in ("random", "stratified")):
            raise SpecError(
                f"{self.draws} draws of nothing that is drawn at random",
                hint="draws= is for few_shot with selection='random' or 'stratified'",
            )

    @property
    def ref(self) -> ModelRef:
        """The model; of a function, the name of the arm."""
        return self.model if isinstance(self.model, ModelRef) else ModelRef.of(NAME, self.name)

    @property
    def kind(self) -> str:
        """Of which sort it is, for a reader: "model", "zero_shot", "few_shot", "nearest" or "function"."""
        if self.prototypes is not None:
            return "nearest"
        if self.shown is not None:
            return "few_shot"
        if self.template is not None:
            return "zero_shot"
        return "model" if isinstance(self.model, str) else "function"

    @property
    def is_known_by_name(self) -> bool:
        """Whether the model's name and the prompt say what is asked. Another function may be called the same."""
        return isinstance(self.model, str) and self.prototypes is None

    def backend(
        self, given: Backend | None, settings: Settings | None, items: Sequence[Item] = ()
    ) -> Backend:
        """Who answers these items: the function itself, the backend given, or the one that is installed.

        Raises:
            SpecError: A backend was given, and it goes by another name; or a class has no example outside the test.
            TunekitError: There is no such backend.
        """
        if isinstance(self.model, str):
            serving = registry.serving(self.ref.backend, given, settings)
            return NearestBackend(serving, self.prototypes.texts(items)) if self.prototypes else serving
        registry.matching(NAME, given)
        return FunctionBackend(function_of(self.model))

    def bounds(self, bounds: Bounds) -> Bounds:
        """How hard it may be asked. A function is asked one question in a call, as many calls at once as any."""
        return bounds if isinstance(self.model, str) else bounds.one_by_one()

    def purse(self, max_usd: float | None, clock: Clock) -> Purse | None:
        """The money for its answers; None where they may cost what they will.

        Raises:
            SpecError: There is a limit, and nobody knows what a call costs.
        """
        if max_usd is None:
            return None
        if self.price is None:
            raise SpecError(
                f"max_usd is {max_usd:g}, and nobody has said what a call of {self.name!r} costs",
                hint="evaluate Arm(model=..., price=CallPrice(...)); CallPrice() is for what costs nothing",
            )
        return Purse(max_usd=max_usd, price=self.price, clock=clock)

    def questions(self, items: Sequence[Item]) -> list[tuple[Item, ...]]:
        """The items as this arm is asked them, for each draw.

        Raises:
            SpecError: The template names a field that an item lacks, or too few examples can be shown.
        """
        return [
            tuple(replace(item, prompt=prompt) for item, prompt in zip(items, prompts, strict=True))
            for prompts in self._prompts(items)
        ]

    def record(self, asked: Iterable[Sequence[Item]], **found: Any) -> ArmRecord:
        """What an evaluation keeps of this arm, of what it was asked, and of what was found of it."""
        shown, near = self.shown, self.prototypes
        drawn = shown or near
        return ArmRecord(
            name=self.name,
            kind=self.kind,
            template_hash=self.template.hash if self.template else "",
            shown_hash=drawn.hash if drawn else "",
            prompts_hash=fingerprint_rows(_rows(asked)),
            k=(drawn.k or 0) if drawn else 0,
            selection=_word(shown.selection) if shown else "",
            seed=drawn.seed if drawn else 0,
            draws=self.draws,
            trained=self.trained,
            training_usd=self.training_usd,
            price=self.price,
            **found,
        )

    def _prompts(self, items: Sequence[Item]) -> Iterator[list[Prompt]]:
        for draw in range(self.draws):
            if self.shown is not None:
                before = self.shown.shown_to(items, draw)
                pairs = zip(before, items, strict=True)
                yield [demonstrated(self.template, examples, item) for examples, item in pairs]
            else:
                yield [self.template.question(item) if self.template else item.prompt for item in items]


ArmLike: TypeAlias = Arm | Model
Side: TypeAlias = ArmLike | Evaluation
"""What can be compared: an arm, a model as it stands, or what was found of one before."""


def as_arm(model: ArmLike) -> Arm:
    """An arm as it is; a model as it is asked in the test.

    Raises:
        SpecError: It is neither.
        RefError: It is text, but not a reference.
    """
    return model if isinstance(model, Arm) else Arm(model=model)


def _called(model: object) -> str:
    return str(model) if isinstance(model, str) else name_of(model)


def _word(selection: Selection) -> str:
    return selection if isinstance(selection, str) else name_of(selection)


def _rows(asked: Iterable[Sequence[Item]]) -> Iterator[object]:
    prompts = (item.prompt for items in asked for item in items)
    return (
        prompt if isinstance(prompt, str) else [message_to_dict(turn) for turn in prompt]
        for prompt in prompts
    )
