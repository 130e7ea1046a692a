"""The usual arms: told what to do, shown examples, the nearest class. Knows how each is put together; asks nobody."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from tunekit.data.splitting.shots import Selection
from tunekit.errors import SpecError
from tunekit.evaluation.arms.arm import Arm, Model
from tunekit.evaluation.arms.demonstrations import Demonstrations
from tunekit.evaluation.arms.nearest import named_classes, shown_classes
from tunekit.evaluation.arms.templates import Template, TemplateLike
from tunekit.examples import Example
from tunekit.refs import ModelRef


def zero_shot(model: Model, template: TemplateLike, *, name: str = "zero_shot") -> Arm:
    r"""A model that is told what to do, and shown nothing.

    Args:
        model: As `Arm.model`.
        template: Text with fields in braces (`"Ticket: {text}\nTeam: {answer}"`), chat turns with such contents, or a
            function of the example (without its answer) that returns either. Fields: `prompt` is the question,
            `text` that of a labelled row, and every column in `meta`. A model goes on where `{answer}` stands, which
            must be the end. `{{` is a brace.
        name: What the arm is called.

    Raises:
        SpecError: The template is none. A field that an item lacks is refused before anything is asked.

    Examples:
        >>> from tunekit.evaluation.items import items_of
        >>> from tunekit.examples import LabelledExample
        >>> arm = zero_shot("openai:gpt-4o-mini", "Which team? Answer in one word.\nTicket: {text}")
        >>> arm.questions(items_of([LabelledExample(text="It is late", label="delivery")]))[0][0].prompt
        'Which team? Answer in one word.\nTicket: It is late'
    """
    return Arm(model=model, name=name, template=Template(template))


def few_shot(
    model: Model,
    examples: Iterable[Example],
    k: int,
    *,
    template: TemplateLike | None = None,
    selection: Selection = "random",
    seed: int = 0,
    draws: int = 1,
    name: str = "few_shot",
) -> Arm:
    r"""A model that is shown `k` solved examples before each question.

    Texts are shown as texts, one after another with an empty line between; chats as turns. Examples that ask what the
    test asks are never shown. A model that was never taught to stop goes on with the next example: end its answers with
    `Sampling(stop=("\n",))`.

    Args:
        model: As `Arm.model`.
        examples: The training part.
        k: How many are shown.
        template: As for `zero_shot`; None shows the question, and the answer on the next line.
        selection: "random", "stratified", "similar" or a function; as `Dataset.shots` takes it.
        seed: Another seed draws others.
        draws: How often examples are drawn. Which ones a model is shown, and in which order, is worth several points
            either way, so the mean over 3 or more says more than one.
        name: What the arm is called.

    Raises:
        SpecError: The template is none, there are fewer than `k` examples, or `draws` are asked of what is not drawn.

    Examples:
        >>> from tunekit.evaluation.items import items_of
        >>> from tunekit.examples import CompletionExample, LabelledExample
        >>> arm = few_shot("openai:gpt-4o-mini", [LabelledExample(text="Too dear", label="billing")], k=1)
        >>> arm.questions(items_of([CompletionExample(prompt="It is late", completion="delivery")]))[0][0].prompt
        'Too dear\nbilling\n\nIt is late'
    """
    return Arm(
        model=model,
        name=name,
        template=None if template is None else Template(template),
        shown=Demonstrations(examples=tuple(examples), k=k, selection=selection, seed=seed),
        draws=draws,
    )


def nearest(
    model: str,
    *,
    classes: Iterable[str] | Mapping[str, str] | None = None,
    examples: Iterable[Example] | None = None,
    k: int | None = None,
    seed: int = 0,
    name: str = "nearest",
) -> Arm:
    """A model that embeds texts, and answers with the class whose vector is nearest: a baseline without training.

    Pass either `classes`, which is zero-shot for a model that cannot generate, or `examples`, which is few-shot. Its
    answers are texts, so scorers of texts read them: `ExactMatch`.

    Args:
        model: A reference to a model that can `embed`.
        classes: Their names, or a text that describes each by its name.
        examples: The training part. Those that ask what the test asks are left out.
        k: Examples of each class; None takes all.
        seed: Another seed draws other examples.
        name: What the arm is called.

    Raises:
        RefError: `model` is not a reference.
        SpecError: Both or neither are given, there are fewer than two classes, or `k` is out of range.

    Examples:
        >>> nearest("local:all-MiniLM-L6-v2", classes=["delivery", "billing"]).kind
        'nearest'
    """
    if (classes is None) == (examples is None):
        raise SpecError(
            "nearest takes classes or examples, one of them", hint="pass classes=[...] for zero-shot"
        )
    found = named_classes(classes or ()) if examples is None else shown_classes(examples, k, seed)
    return Arm(model=ModelRef(model), name=name, prototypes=found)
