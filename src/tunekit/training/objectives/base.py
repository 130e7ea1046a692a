"""What a method of fine-tuning is to the loop: rows made of examples, and a loss of rows. Knows no step and no file.

An `Objective` is a method before there are weights: it turns examples into rows, so that what is wrong with the data is
said within seconds. A `Learner` is the same with the model at hand.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Protocol, TypeVar

from tunekit.examples import Example
from tunekit.training.models.classes import Classes
from tunekit.training.models.families import Head
from tunekit.training.plan.device import Device
from tunekit.training.texts.rows import Row

if TYPE_CHECKING:
    import torch

R = TypeVar("R", bound=Row)

T = TypeVar("T")


class EachRow(Protocol):
    """Goes through rows in forward passes. Between two of them a run may be told to stop, and that ends it."""

    def __call__(self, rows: Sequence[R], compute: Callable[[list[R]], Sequence[T]], /) -> list[T]:
        """Something of each row, in their order; `compute` gives that of the rows of one pass, JSON-ready."""


class Passes(EachRow, Protocol):
    """The same, in processes that train together."""

    def decided(self, decide: Callable[[], T], /) -> T:
        """What one process finds out for all that train together; JSON-ready."""


class Untrained(Protocol):
    """Measures rows with the model as it is before the first step, pass by pass, and once per run."""

    def __call__(self, rows: Sequence[R], measure: Callable[[Sequence[R]], torch.Tensor]) -> torch.Tensor:
        """Numbers of each row, shape (rows, numbers); `measure` gives those of the rows of one pass, in their order."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Loss:
    """Loss of one forward pass, as a sum, so that any split of a step into passes adds up to the same.

    Attributes:
        total: Sum over the rows; a scalar with a gradient. The caller divides by the weights of the whole step.
        metrics: Sums over the rows of what else is worth knowing, such as how many pairs are in order; scalars. The
            caller divides by the rows.
    """

    total: torch.Tensor
    metrics: Mapping[str, torch.Tensor] = field(default_factory=dict)


class Learner(ABC, Generic[R]):
    """A method with the model at hand.

    Class attributes:
        idle_reason: Why the rows of a step need not teach anything (see `teaches`); "" where they always must.
        idle_hint: What to do about that.
    """

    idle_reason: ClassVar[str] = ""
    idle_hint: ClassVar[str] = ""

    def prepared(self, rows: Sequence[R], untrained: Untrained) -> list[R]:
        """The rows with what only the untrained model can tell, such as a reference's log-probabilities.

        Called for all rows of a part of the data whenever a run starts or is taken up again, with the model in
        evaluation mode and no gradients.

        Args:
            rows: Training rows, or validation rows.
            untrained: Measures them, the first time.
        """
        return list(rows)

    def drawn(self, rows: Sequence[R], passes: Passes) -> list[R]:
        """What a step or an evaluation learns from, given the rows that fell to it. RFT draws answers here.

        Args:
            rows: All rows of the step, so that what is known of them together does not depend on how it is cut.
            passes: Goes through rows in forward passes.
        """
        return list(rows)

    def teaches(self, rows: Sequence[R]) -> bool:
        """Whether these rows must give a gradient. Where they need not, a step without one changes nothing.

        Args:
            rows: All rows of the step, as they were drawn.
        """
        return True

    @abstractmethod
    def loss(self, rows: Sequence[R]) -> Loss:
        """Loss of the rows of one forward pass."""


class Objective(ABC, Generic[R]):
    """A method of fine-tuning, before there are weights.

    Class attributes:
        head: What the model must end in.
    """

    head: ClassVar[Head]

    @abstractmethod
    def row(self, example: Example) -> R:
        """An example in tokens.

        Raises:
            DataError: It cannot be learned from this way; the message names the row.
        """

    @abstractmethod
    def learner(self, module: Any, device: Device, *, longest: int) -> Learner[R]:
        """The method with a model.

        Args:
            module: The model on its device, with its trainable parameters marked.
            device: That device.
            longest: Longest text of the run in tokens.
        """

    def named_classes(self) -> Classes | None:
        """The classes that the model's head names; None for other heads."""
        return None

    def shortened(self, row: R, max_length: int) -> R | None:
        """A row that is too long with its prompt cut from the left, or None where that does not help. For plain texts.

        Args:
            row: The row.
            max_length: Longest text in tokens.
        """
        return None

    def rewritten(self, row: R, example: Example) -> R:
        """A row anew, from its example with less of a prompt. For chats, which the template must write as a whole.

        Args:
            row: The row as it was.
            example: Its shortened example.
        """
        return self.row(example)

    def facts(self, rows: Sequence[R], stop_ids: Sequence[int]) -> dict[str, Any]:
        """What the report before the first step says of the rows beside their number and length; JSON-ready.

        Args:
            rows: The training rows.
            stop_ids: Tokens that end an answer.
        """
        return {}

    def warnings(self, rows: Sequence[R], stop_ids: Sequence[int], *, part: str) -> list[str]:
        """What is doubtful about the rows; `part` is "training" or "validation"."""
        return []
