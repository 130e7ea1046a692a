"""What a host asks of a model before it may replace another. Knows fields; what follows from them is in `deciding`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated

from pydantic import Field

from tunekit._validation import Spec
from tunekit.evaluation.comparison import Comparison
from tunekit.retrain.gate.decision import Decision
from tunekit.retrain.gate.planning import Plan, planned

Level = Annotated[float, Field(gt=0.5, lt=1.0)]
Loss = Annotated[float, Field(gt=0.0)]


class Guardrail(Spec):
    """Something that may not get worse by more than a margin.

    Attributes:
        of: A scorer of the comparison; "calibration" for its calibration error, or a quantity that comparisons have,
            such as "seconds per item".
        margin: Largest loss that does not matter, in the unit of `of`.
        ratio: The same as a share of what the model in use has: 0.1 lets seconds grow by a tenth.
        column: Only items with `value` in this column, by which the evaluator sliced.
        value: See `column`.
        task: An earlier task, by the name under which its comparison is passed; empty for the test itself.
        scorer: Whose calibration it is; empty for the primary scorer.

    Raises:
        SpecError: There is not exactly one of `margin` and `ratio`.

    Examples:
        >>> Guardrail(of="exact_match", margin=0.02, task="last year's tickets").name
        "exact_match of last year's tickets"
    """

    of: str
    margin: Loss | None = None
    ratio: Loss | None = None
    column: str = ""
    value: str = ""
    task: str = ""
    scorer: str = ""

    def model_post_init(self, context: object) -> None:
        """Exactly one of the two limits."""
        if (self.margin is None) == (self.ratio is None):
            from tunekit.errors import SpecError

            raise SpecError(
                f"guardrail {self.of!r} has {'no limit' if self.margin is None else 'two limits'}",
                hint="give margin=, in its own unit, or ratio=, as a share of what is in use",
            )

    @property
    def name(self) -> str:
        """What a reader knows it by."""
        part = f" on {self.column}={self.value}" if self.column else ""
        return f"{self.of}{part}" + (f" of {self.task}" if self.task else "")


class Gate(Spec):
    """What must be shown before a model may replace another: one gain, and no loss that matters.

    The chance that a model is promoted which is not better by more than `min_gain`, or which loses more than a margin
    somewhere, is at most `(1 - level) / 2`: 2.5 % unless told. Holm's procedure spreads that over all claims.

    Attributes:
        primary: The scorer that decides.
        min_gain: The gain that must be exceeded.
        guardrails: What may not get worse.
        level: Two-sided confidence level.
        max_error_rate: Share of items that either model may fail to be scored on.
        max_leaked: Items of the test that may be in the training data of the new model.
        min_new_rows: Rows of training data that must be new.
        max_label_drift: Largest `label_drift` of the training data; None does not look.

    Raises:
        SpecError: A number is out of range.

    Examples:
        >>> from tunekit.data.dataset import Dataset
        >>> from tunekit.evaluation.evaluator import Evaluator
        >>> test = Dataset.from_records([{"prompt": f"{n}", "completion": f"{n % 4}"} for n in range(200)])
        >>> found = Evaluator(test).compare(lambda prompt: "0", lambda prompt: str(int(prompt) % 4))
        >>> Gate(primary="exact_match", min_gain=0.02).decide(found).verdict
        'promote'
    """

    primary: str
    min_gain: Annotated[float, Field(ge=0.0)] = 0.0
    guardrails: tuple[Guardrail, ...] = ()
    level: Level = 0.95
    max_error_rate: Annotated[float, Field(ge=0.0, le=1.0)] = 0.05
    max_leaked: Annotated[int, Field(ge=0)] = 0
    min_new_rows: Annotated[int, Field(ge=0)] = 0
    max_label_drift: Annotated[float, Field(ge=0.0)] | None = None

    @property
    def alpha(self) -> float:
        """The largest chance of a wrong promotion."""
        return (1.0 - self.level) / 2.0

    def decide(
        self,
        comparison: Comparison,
        *,
        tasks: Mapping[str, Comparison] | None = None,
        new_rows: int | None = None,
        label_drift: float | None = None,
    ) -> Decision:
        """Whether the second model may replace the first. Asks nothing, and gives the same for the same.

        Args:
            comparison: The model in use against the new one, both on today's test.
            tasks: The same on the tests of earlier tasks, by the name that guardrails have.
            new_rows: Rows of training data that the model in use had not.
            label_drift: What `label_drift` says of both training data.

        Raises:
            NotFoundError: A scorer, quantity, slice or task is not in what was given.
            SpecError: The gate asks for a fact that was not given, or an argument is of another type.
        """
        from tunekit.data import arguments
        from tunekit.retrain.gate.deciding import decided

        such_as = "what Evaluator.compare(...) returns"
        arguments.instance("comparison", comparison, Comparison, such_as=such_as)
        for name, each in (tasks or {}).items():
            arguments.instance(f"tasks[{name!r}]", each, Comparison, such_as=such_as)
        return decided(self, comparison, tasks or {}, new_rows=new_rows, label_drift=label_drift)

    def plan(
        self, *, gain: float, items: int, disagreement: float, guarded_items: Sequence[int] = ()
    ) -> Plan:
        """How likely a model with this gain passes, before anything is spent.

        Guardrails are taken as those of models that do not differ there, with as many wins as losses.

        Args:
            gain: True difference of the primary metric, a share of right answers.
            items: Items of the test.
            disagreement: Share of items on which exactly one of the two is right; earlier comparisons tell.
            guarded_items: Items of each guardrail with a margin, in order; empty for all of the test.

        Raises:
            SpecError: A number is out of range.
        """
        margins = [rail.margin for rail in self.guardrails if rail.margin is not None]
        return planned(
            gain=gain - self.min_gain,
            items=items,
            disagreement=disagreement,
            margins=list(zip(margins, guarded_items or [items] * len(margins), strict=True)),
            alpha=self.alpha,
        )
