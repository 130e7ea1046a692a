"""One round of retraining and its transitions, as they are stored. Knows fields and states; not what follows what."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Literal

from pydantic import Field, JsonValue

from tunekit.data.wording import counted
from tunekit.evaluation.records import Record
from tunekit.refs import ModelRef
from tunekit.retrain.gate.decision import Decision
from tunekit.retrain.registry.records import Name

Count = Annotated[int, Field(ge=0)]


class RoundState(StrEnum):
    """Where a round stands. Every change of it is written down before what follows is done.

    Examples:
        >>> RoundState("promoted").is_over, RoundState("training").is_at_work
        (True, True)
    """

    REQUESTED = "requested"
    """Asked for, and nothing was done yet."""
    PREPARING = "preparing"
    """Training data are put together and checked."""
    TRAINING = "training"
    """A job is handed in, or runs."""
    EVALUATING = "evaluating"
    """The new model and the one in use answer the same test."""
    AWAITING_APPROVAL = "awaiting_approval"
    """The gate let it through, and a person has to say yes."""
    SHADOW = "shadow"
    """The host asks it beside the one in use, and users do not see what it says."""
    CANARY = "canary"
    """It answers a share of the requests."""
    PROMOTING = "promoting"
    """The alias is being moved."""
    PROMOTED = "promoted"
    """The alias names it."""
    PASSED = "passed"
    """The gate let it through, and the policy is never to promote."""
    REJECTED = "rejected"
    """The gate showed that it is worse somewhere, or not better, or that the data are not fit."""
    INCONCLUSIVE = "inconclusive"
    """The test cannot tell; `decision.items_needed` says how many items could."""
    DECLINED = "declined"
    """A person said no."""
    FAILED = "failed"
    """It cannot go on; `error` says why and what to do."""
    CANCELLED = "cancelled"
    """Somebody stopped it."""
    COALESCED = "coalesced"
    """A later request came before it had begun; that one has its data, too."""
    SUPERSEDED = "superseded"
    """It was in use, or on its way, until a later round took its place."""
    ROLLED_BACK = "rolled_back"
    """It was in use, or on its way, and was taken away again."""

    @property
    def is_at_work(self) -> bool:
        """Whether a process has something to do, now or after a restart."""
        return self in _AT_WORK

    @property
    def may_be_cancelled(self) -> bool:
        """Whether it can be stopped without anything to take back."""
        return self.is_at_work and self is not RoundState.PROMOTING

    @property
    def is_with_the_host(self) -> bool:
        """Whether it goes on when the host says so: `approve`, `advance`, `decline`."""
        return self in _WITH_THE_HOST

    @property
    def is_over(self) -> bool:
        """Whether nothing more is to be done."""
        return not (self.is_at_work or self.is_with_the_host)

    @property
    def may_be_asked_again(self) -> bool:
        """Whether the same request starts a new attempt."""
        return self in (RoundState.FAILED, RoundState.CANCELLED)


_AT_WORK = frozenset(
    {
        RoundState.REQUESTED,
        RoundState.PREPARING,
        RoundState.TRAINING,
        RoundState.EVALUATING,
        RoundState.PROMOTING,
    }
)
_WITH_THE_HOST = frozenset({RoundState.AWAITING_APPROVAL, RoundState.SHADOW, RoundState.CANARY})


class RoundError(Record):
    """Why a round cannot go on.

    Attributes:
        message: What happened.
        hint: What to do about it.
        code: Stable code of the error, an anchor in the list of errors.
    """

    message: str
    hint: str = ""
    code: str = "error"


class Batch(Record):
    """Rows that were handed to a pipeline together. Kept as they came.

    Attributes:
        pipeline: Whose they are.
        position: 1, 2, 3 in the order in which they came.
        fingerprint: Of the rows.
        rows: How many there are.
        task: What they are of, where a pipeline learns several tasks one after the other; "" otherwise.
        added_at: Unix seconds.
        withdrawn_at: When it was taken out of what later rounds train on, in Unix seconds; None where it is in.
        withdrawn_because: Why.
    """

    pipeline: Name
    position: Annotated[int, Field(ge=1)]
    fingerprint: str
    rows: Count
    task: str = ""
    added_at: float
    withdrawn_at: float | None = None
    withdrawn_because: str = ""


class Amounts(Record):
    """What a round's training data are made of, in rows.

    Attributes:
        new: Rows that the model in use has not learned from.
        old: Rows of earlier batches that are in the data.
        repeated: Rows left out because an equal one is in the data.
        leaking: Rows left out because a test asks what they ask.
    """

    new: Count
    old: Count
    repeated: Count = 0
    leaking: Count = 0

    @property
    def total(self) -> int:
        """Rows that are trained on."""
        return self.new + self.old

    def __str__(self) -> str:
        left_out = [
            f"{counted(number, 'row')} {why}"
            for number, why in ((self.repeated, "repeated"), (self.leaking, "of the tests"))
            if number
        ]
        words = f"{counted(self.total, 'row')}: {self.new:,} new, {self.old:,} old"
        return words + (f"; left out: {', '.join(left_out)}" if left_out else "")


class Round(Record):
    """One retraining, from the request to its end. What a `Retrainer` returns; print it.

    Attributes:
        round_id: Unique name.
        pipeline: Name of the models that it is for, as in the registry.
        alias: The alias that it is to move.
        key: Idempotency key of the request.
        request: Hash of what was asked for.
        attempt: 1, or more where the same was asked for after a failure.
        sequence: How many transitions there were.
        state: Where it stands.
        trigger: Why it was asked for: "manual", or what a trigger said.
        requested_by: Who asked.
        terms: Hash of recipe, gate and approval: only whoever has the same goes on with it.
        target: Backend and base model.
        recipe: The `TuneSpec` as JSON, as it was asked for.
        position: The last batch that is part of it.
        champion: Number of the version that it is measured against; None where none was in use.
        amounts: What the training data are made of, once they are put together.
        label_drift: How far the labels of the new rows are from those of the old; None where rows have none.
        train: Fingerprint of the training data.
        job: The job that trains, once it is handed in.
        job_stopped: Of a cancelled round: whether it is known that no job of it runs any more.
        model: What was trained.
        version: Its number in the registry.
        decision: What the gate said.
        cost_usd: What training has cost, where the backend knows.
        rollout: Stages that it goes through before it is promoted.
        share: Of the requests, that it answers as a canary.
        report: Directory with the comparisons.
        notes: What happened on the way that is worth knowing.
        error: Why it failed.
        coalesced_into: The round that has its data, too.
        created_at: Unix seconds.
        updated_at: Unix seconds, of the last transition.

    Examples:
        >>> asked = Round(
        ...     round_id="round-1", pipeline="bot", key="k", request="r", target="local:base", position=1,
        ...     created_at=0.0, updated_at=0.0,
        ... )  # fmt: skip
        >>> asked.promoted, str(asked)
        (False, 'round-1 of bot@champion: requested')
    """

    schema_version: Literal[1] = 1
    round_id: str
    pipeline: Name
    alias: Name = "champion"
    key: str
    request: str
    attempt: Annotated[int, Field(ge=1)] = 1
    sequence: Count = 0
    state: RoundState = RoundState.REQUESTED
    trigger: str = "manual"
    requested_by: str = ""
    terms: str = ""
    target: str
    recipe: dict[str, JsonValue] = Field(default_factory=dict, repr=False)
    position: Count
    champion: int | None = None
    amounts: Amounts | None = None
    label_drift: float | None = None
    train: str = ""
    job: str = ""
    job_stopped: bool = False
    model: ModelRef | None = None
    version: int | None = None
    decision: Decision | None = Field(default=None, repr=False)
    cost_usd: float | None = None
    rollout: tuple[str, ...] = ()
    share: Annotated[float, Field(ge=0.0, le=1.0)] = 0.0
    report: str = ""
    notes: tuple[str, ...] = ()
    error: RoundError | None = None
    coalesced_into: str = ""
    created_at: float
    updated_at: float

    @property
    def promoted(self) -> bool:
        """Whether the alias names the new model."""
        return self.state is RoundState.PROMOTED

    @property
    def ref(self) -> str:
        """What `Registry.resolve` takes for the version that was trained; "" before there is one."""
        return f"{self.pipeline}@{self.version}" if self.version else ""

    @property
    def reasons(self) -> tuple[str, ...]:
        """Why it ended as it did: what the gate asked and found, or the error."""
        if self.error is not None:
            return (self.error.message,)
        return (
            tuple(f"{check.name}: {check.reason}" for check in self.decision.checks) if self.decision else ()
        )

    def __str__(self) -> str:
        lines = [f"{self.round_id} of {self.pipeline}@{self.alias}: {self.state}"]
        facts = {
            "data": self.amounts,
            "job": self.job,
            "model": self.model and f"{self.model} ({self.ref})" if self.version else self.model,
            "against": f"{self.pipeline}@{self.champion}" if self.champion else "",
            "cost": "" if self.cost_usd is None else f"${self.cost_usd:,.2f}",
            "report": self.report,
            "error": self.error and f"{self.error.message}; {self.error.hint}",
        }
        lines += [f"{name}: {value}" for name, value in facts.items() if value]
        lines += [f"note: {note}" for note in self.notes]
        return "\n".join([*lines, *(str(self.decision).splitlines() if self.decision else ())])


class Transition(Record):
    """One change of a round's state. They are added and never changed: they are its history, and its events.

    Attributes:
        round_id: Of which round.
        pipeline: Of which pipeline.
        sequence: 1, 2, 3 for each round by itself.
        state: What it is from then on.
        reason: Why, in words.
        by: Who brought it about; "" for the program.
        at: Unix seconds.
    """

    schema_version: Literal[1] = 1
    round_id: str
    pipeline: Name
    sequence: Annotated[int, Field(ge=1)]
    state: RoundState
    reason: str = ""
    by: str = ""
    at: float
