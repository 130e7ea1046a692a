"""What a user asks for: a method, hyperparameters, a budget. Knows what is valid; not who can do it.

Everything is a frozen pydantic model that forbids unknown fields, so a spec is safe to hash, store and compare.
`"auto"` leaves a value to the backend, which reports what it chose.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypeAlias

from pydantic import BaseModel, Field, JsonValue, NonNegativeFloat, PositiveFloat, PositiveInt

from tunekit._validation import Auto, Spec
from tunekit._validation import parse_model as parse_model
from tunekit.adapters import Adapter as Adapter
from tunekit.adapters import FullWeights as FullWeights
from tunekit.adapters import LastLayers as LastLayers
from tunekit.adapters import LoRA as LoRA
from tunekit.methods import DPO as DPO
from tunekit.methods import KTO as KTO
from tunekit.methods import RFT as RFT
from tunekit.methods import SFT as SFT
from tunekit.methods import Classify as Classify
from tunekit.methods import Method as Method
from tunekit.methods import Probe as Probe

Seed: TypeAlias = Annotated[int, Field(ge=0, lt=2**63)]
"""What every generator of random numbers takes."""

FINGERPRINT_VERSION = 1
"""Part of every spec's fingerprint. Count it up whenever a default changes: defaults themselves are not hashed."""


class Budget(Spec):
    """What a job may cost at most. None means no limit.

    Attributes:
        max_usd: Money, in US dollars. A job that would cost more for certain is not sent, and one that turns out to
            cost more is cancelled by whoever looks at it next: `wait`, `events`, `snapshot` or a webhook.
        max_seconds: Wall time of training; the same holds where the backend does not see to it by itself.
        usd_per_million_tokens: The price of training, where you know it better than the backend does.

    Examples:
        >>> TuneSpec(budget=Budget(max_seconds=600)).budget.max_usd is None
        True
    """

    max_usd: PositiveFloat | None = None
    max_seconds: PositiveFloat | None = None
    usd_per_million_tokens: PositiveFloat | None = None


class EarlyStopping(Spec):
    """Stop when the validation set says that training helps no more, and publish the best weights, not the last.

    Attributes:
        metric: What is watched: "loss", or a metric that the method reports, such as "accuracy".
        patience: Evaluations without improvement after which it stops.
        min_improvement: What counts as one.

    Examples:
        >>> TuneSpec(early_stopping=EarlyStopping(patience=2)).early_stopping.metric
        'loss'
    """

    metric: str = "loss"
    patience: PositiveInt = 3
    min_improvement: NonNegativeFloat = 0.0


class L2ToStart(Spec):
    """Pull what is trained to where it began: L2-SP (Li et al. 2018, arXiv 1802.01483).

    Adds strength / 2 * sum_i (w_i - w_i at the start)^2 to the loss of a step. The start is what the run begins with:
    the weights of the base, or those of the artifact that it goes on from. An adapter is pulled as it is stored, its A
    and B each to where they were, not their product: of one that begins anew B was 0, so its whole change is pulled
    back, and of one that goes on what it has learned since.

    Attributes:
        strength: Of the pull; 0 is none. The `pull` of the steps' metrics says what it comes to, in units of the loss.

    Examples:
        >>> TuneSpec(stay_near=L2ToStart(strength=0.1)).stay_near.type
        'l2-to-start'
    """

    type: Literal["l2-to-start"] = "l2-to-start"
    strength: NonNegativeFloat = 0.1


class EWC(Spec):
    """The same, harder where a weight mattered: elastic weight consolidation.

    Adds strength / 2 * sum_i f_i (w_i - w_i at the start)^2 to the loss of a step (Kirkpatrick et al. 2017, arXiv
    1612.00796). f_i is the diagonal of the Fisher information of the run that made the start, divided by its mean, so
    that one strength means as much here as for `L2ToStart`. That run keeps it with its weights when it is asked to
    (`TuneSpec(keep_fisher=True)`); its rows are not needed again.

    Attributes:
        strength: Of the pull; 0 is none.

    Examples:
        >>> TuneSpec(stay_near=EWC(strength=1.0), warm_start="local:run-9f2c").stay_near.strength
        1.0
    """

    type: Literal["ewc"] = "ewc"
    strength: NonNegativeFloat = 0.1


StayNear: TypeAlias = Annotated[L2ToStart | EWC, Field(discriminator="type")]


class Sampling(Spec):
    """How answers are drawn from a model.

    Attributes:
        max_tokens: Longest answer, in tokens.
        temperature: 0 is greedy.
        top_p: Nucleus probability mass.
        seed: Makes sampling repeatable where the backend can; from 0 to 2**63 - 1.
        stop: Strings that end the answer and are not part of it.

    Examples:
        >>> Sampling(max_tokens=16, stop=("END",)).temperature
        0.0
    """

    max_tokens: PositiveInt = 128
    temperature: NonNegativeFloat = 0.0
    top_p: Annotated[float, Field(gt=0.0, le=1.0)] = 1.0
    seed: Seed = 0
    stop: tuple[str, ...] = ()


class TuneSpec(Spec):
    """A fine-tuning recipe, the same for every backend.

    Like its parts, it is checked when it is made: the `SpecError` names each wrong field by its path, such as
    `method.adapter.rank`. (`model_validate` is pydantic's own, and raises pydantic's error.)

    Attributes:
        method: What is learned and how.
        epochs: Passes over the training examples; "auto" makes more of them over few examples.
        batch_size: Examples per optimizer step.
        learning_rate: Peak rate; absolute, not a multiplier. "range-test" tries rates out before the first step, which
            costs as much as 100 steps (Smith 2015, arXiv 1506.01186).
        schedule: How the rate falls after warm-up.
        warmup_ratio: Share of all steps over which the rate rises from 0.
        weight_decay: Decoupled weight decay of AdamW.
        max_gradient_norm: Global gradient norm above which gradients are scaled down; None never clips.
        max_length: Longest example in tokens; None is the model's own limit.
        too_long: What becomes of a longer example: it is an "error", it is left out ("drop"), or its prompt is
            shortened ("truncate_prompt"), a plain one from the left, a chat by what its oldest messages say. An answer
            is never cut.
        micro_batch_size: Examples per forward pass; gradients accumulate up to `batch_size`.
        checkpoint_every_steps: Steps between checkpoints; "auto" aims at one a minute and one an epoch.
        evaluate_every_steps: Steps between evaluations on the validation set; "auto" is once an epoch.
        early_stopping: When to stop before the last epoch; None trains to the end.
        gradient_checkpointing: Compute activations twice rather than keep them; "auto" does so where memory asks for
            it.
        compile: Compile the model's layers, on a backend that does; "auto" leaves it to the backend.
        warm_start: A tuned model to go on from, as `FineTuneJob.result()` returned it; its lineage is recorded. An
            adapter is trained further on the same base, with its own rank and layers (leave the adapter at `LoRA()`); a
            whole model is the base of the run. A head that names classes grows by those that are new, and keeps those
            that have no rows any more. The optimizer starts anew.
        stay_near: A pull of what is trained to where it began, `L2ToStart()` or `EWC()`, so that less is forgotten;
            None lets it go. The loss that is reported is that of the rows alone.
        keep_fisher: Keep with the tuned model how much each of its weights matters for what it was trained on (the
            diagonal of the Fisher information), for a later run with `EWC()`; for SFT and Classify.
        seed: Seeds data order and initialisation; from 0 to 2**63 - 1.
        name: A label for people; hosted backends use it as the model's suffix.
        budget: Limits on cost and time.
        options: Backend-specific extras, passed through and checked by the backend.

    Examples:
        >>> TuneSpec(method=SFT(adapter=LoRA(rank=16)), epochs=3, seed=7).method.adapter.rank
        16
    """

    method: Method = SFT()
    epochs: PositiveFloat | Auto = 3.0
    batch_size: PositiveInt | Auto = "auto"
    learning_rate: PositiveFloat | Auto | Literal["range-test"] = "auto"
    schedule: Literal["linear", "cosine", "constant"] = "linear"
    warmup_ratio: Annotated[float, Field(ge=0.0, lt=1.0)] = 0.05
    weight_decay: NonNegativeFloat = 0.0
    max_gradient_norm: PositiveFloat | None = 1.0
    max_length: PositiveInt | None = None
    too_long: Literal["error", "drop", "truncate_prompt"] = "error"
    micro_batch_size: PositiveInt | Auto = "auto"
    checkpoint_every_steps: PositiveInt | Auto = "auto"
    evaluate_every_steps: PositiveInt | Auto = "auto"
    early_stopping: EarlyStopping | None = None
    gradient_checkpointing: bool | Auto = "auto"
    compile: bool | Auto = "auto"
    warm_start: str | None = None
    stay_near: StayNear | None = None
    keep_fisher: bool = False
    seed: Seed = 0
    name: Annotated[str, Field(max_length=64)] = ""
    budget: Budget = Budget()
    options: dict[str, JsonValue] = Field(default_factory=dict)

    def fingerprint(self) -> str:
        """SHA-256 of the recipe: every field but `name` (a label changes no weights) that is not at its default.

        Defaults are left out so that a field added by a later version does not change what is stored already.
        """
        from tunekit._canonical import fingerprint

        recipe = _beside_defaults(self)
        recipe.pop("name", None)
        return fingerprint({"version": FINGERPRINT_VERSION, "spec": recipe})

    @classmethod
    def from_json(cls, text: str | bytes) -> TuneSpec:
        """Read a spec from JSON, for example a stored one.

        Raises:
            SpecError: The text is not a valid spec; the message names each wrong field.
        """
        return parse_model(cls, text)


def _beside_defaults(model: BaseModel) -> dict[str, Any]:
    """The fields that differ from their defaults, as JSON, and always the `type` that says whose defaults those are."""
    plain = model.model_dump(mode="json")
    body: dict[str, Any] = {}
    for name, field in type(model).model_fields.items():
        value = getattr(model, name)
        if name == "type" or value != field.get_default(call_default_factory=True):
            body[name] = _beside_defaults(value) if isinstance(value, BaseModel) else plain[name]
    return body
