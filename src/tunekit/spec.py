"""What a user asks for: method, adapter, hyperparameters, budget. Knows what is valid; not who can do it.

Everything is a frozen pydantic model that forbids unknown fields, so a spec is safe to hash, store and compare.
`"auto"` leaves a value to the backend, which reports what it chose.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypeAlias

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    JsonValue,
    NonNegativeFloat,
    PositiveFloat,
    PositiveInt,
    ValidationError,
)

from tunekit._validation import parse_model as parse_model
from tunekit._validation import spec_error

Auto: TypeAlias = Literal["auto"]
Seed: TypeAlias = Annotated[int, Field(ge=0, lt=2**63)]
"""What every generator of random numbers takes."""

FINGERPRINT_VERSION = 1
"""Part of every spec's fingerprint. Count it up whenever a default changes: defaults themselves are not hashed."""


class _Spec(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, hide_input_in_errors=True)

    def __init__(self, /, **values: Any) -> None:
        try:
            super().__init__(**values)
        except ValidationError as error:
            raise spec_error(type(self), error) from None

    # pydantic builds nested models without calling `__init__`, unless it is told that this one does more than check.
    # It must not call it: one error for the outermost model then names every field by its whole path.
    __init__.__pydantic_base_init__ = True  # type: ignore[attr-defined]


class LoRA(_Spec):
    """Low-rank adapters beside frozen weights (Hu et al. 2021, arXiv 2106.09685).

    Attributes:
        rank: Inner dimension r.
        alpha: Scale numerator; the update is multiplied by alpha / rank (alpha / sqrt(rank) for rsLoRA).
            None means 2 * rank.
        dropout: Dropout on the adapter's input.
        target_modules: Which linear layers get one; "all-linear" leaves out the output head.
        dora: Learn magnitude and direction apart (Liu et al. 2024, arXiv 2402.09353).
        rslora: Rank-stabilised scale (Kalajdzievski 2023, arXiv 2312.03732).

    Examples:
        >>> LoRA(rank=8).alpha is None
        True
    """

    type: Literal["lora"] = "lora"
    rank: PositiveInt = 16
    alpha: PositiveFloat | None = None
    dropout: Annotated[float, Field(ge=0.0, lt=1.0)] = 0.0
    target_modules: Literal["all-linear"] | tuple[str, ...] = "all-linear"
    dora: bool = False
    rslora: bool = False


class FullWeights(_Spec):
    """Train every weight of the model.

    Examples:
        >>> SFT(adapter=FullWeights()).adapter.type
        'full'
    """

    type: Literal["full"] = "full"


Adapter: TypeAlias = Annotated[LoRA | FullWeights, Field(discriminator="type")]
PromptFormat: TypeAlias = Literal["auto", "chat", "text"]


class SFT(_Spec):
    """Supervised fine-tuning on completions: cross-entropy on the answer's tokens only.

    Attributes:
        adapter: What is trained.
        prompt_format: How prompt/completion pairs are written for the model: as a chat through its template, or as
            plain text. "auto" takes the chat template where the model has one and the prompt is not empty.

    Examples:
        >>> SFT(adapter=LoRA(rank=8)).type
        'sft'
    """

    type: Literal["sft"] = "sft"
    adapter: Adapter = LoRA()
    prompt_format: PromptFormat = "auto"


class DPO(_Spec):
    """Direct preference optimisation (Rafailov et al. 2023, arXiv 2305.18290).

    Examples:
        >>> TuneSpec(method=DPO(beta=0.2)).method.beta
        0.2
    """

    type: Literal["dpo"] = "dpo"
    adapter: Adapter = LoRA()
    beta: PositiveFloat = 0.1


class RFT(_Spec):
    """Reinforcement fine-tuning against a grader, given as OpenAI grader JSON.

    Examples:
        >>> grader = {"type": "string_check", "operation": "eq",
        ...           "input": "{{sample.output_text}}", "reference": "{{item.answer}}"}
        >>> RFT(grader=grader).grader["operation"]
        'eq'
    """

    type: Literal["rft"] = "rft"
    adapter: Adapter = LoRA()
    grader: dict[str, JsonValue]


class Classify(_Spec):
    """A classification head trained together with the model.

    Examples:
        >>> Classify().adapter.type
        'full'
    """

    type: Literal["classify"] = "classify"
    adapter: Adapter = FullWeights()


class Probe(_Spec):
    """Feature extraction: a linear classifier on features of the frozen model.

    Examples:
        >>> TuneSpec(method=Probe(), epochs=1).method.type
        'probe'
    """

    type: Literal["probe"] = "probe"


Method: TypeAlias = Annotated[SFT | DPO | RFT | Classify | Probe, Field(discriminator="type")]


class Budget(_Spec):
    """What a job may cost at most. None means no limit.

    Attributes:
        max_usd: Money, in US dollars.
        max_seconds: Wall time of training.

    Examples:
        >>> TuneSpec(budget=Budget(max_seconds=600)).budget.max_usd is None
        True
    """

    max_usd: PositiveFloat | None = None
    max_seconds: PositiveFloat | None = None


class Sampling(_Spec):
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


class TuneSpec(_Spec):
    """A fine-tuning recipe, the same for every backend.

    Like its parts, it is checked when it is made: the `SpecError` names each wrong field by its path, such as
    `method.adapter.rank`. (`model_validate` is pydantic's own, and raises pydantic's error.)

    Attributes:
        method: What is learned and how.
        epochs: Passes over the training examples.
        batch_size: Examples per optimizer step.
        learning_rate: Peak rate; absolute, not a multiplier.
        schedule: How the rate falls after warm-up.
        warmup_ratio: Share of all steps over which the rate rises from 0.
        weight_decay: Decoupled weight decay of AdamW.
        max_gradient_norm: Global gradient norm above which gradients are scaled down; None never clips.
        max_length: Longest example in tokens; None is the model's own limit. A longer one is an error, never cut.
        micro_batch_size: Examples per forward pass; gradients accumulate up to `batch_size`.
        checkpoint_every_steps: Steps between checkpoints; "auto" aims at one a minute and one an epoch.
        evaluate_every_steps: Steps between evaluations on the validation set; "auto" is once an epoch.
        seed: Seeds data order and initialisation; from 0 to 2**63 - 1.
        name: A label for people; hosted backends use it as the model's suffix.
        budget: Limits on cost and time.
        options: Backend-specific extras, passed through and checked by the backend.

    Examples:
        >>> TuneSpec(method=SFT(adapter=LoRA(rank=16)), epochs=3, seed=7).method.adapter.rank
        16
    """

    method: Method = SFT()
    epochs: PositiveFloat = 3.0
    batch_size: PositiveInt | Auto = "auto"
    learning_rate: PositiveFloat | Auto = "auto"
    schedule: Literal["linear", "cosine", "constant"] = "linear"
    warmup_ratio: Annotated[float, Field(ge=0.0, lt=1.0)] = 0.05
    weight_decay: NonNegativeFloat = 0.0
    max_gradient_norm: PositiveFloat | None = 1.0
    max_length: PositiveInt | None = None
    micro_batch_size: PositiveInt | Auto = "auto"
    checkpoint_every_steps: PositiveInt | Auto = "auto"
    evaluate_every_steps: PositiveInt | Auto = "auto"
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
