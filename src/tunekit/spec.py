"""What a user asks for: method, adapter, hyperparameters, budget. Knows what is valid; not who can do it.

Everything is a frozen pydantic model that forbids unknown fields, so a spec is safe to hash, store and compare.
`"auto"` leaves a value to the backend, which reports what it chose.
"""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias, TypeVar

from pydantic import BaseModel, ConfigDict, Field, JsonValue, NonNegativeFloat, PositiveFloat, PositiveInt

Auto: TypeAlias = Literal["auto"]
ModelT = TypeVar("ModelT", bound=BaseModel)


class _Spec(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


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
        seed: Makes sampling repeatable where the backend can.
        stop: Strings that end the answer and are not part of it.

    Examples:
        >>> Sampling(max_tokens=16, stop=("END",)).temperature
        0.0
    """

    max_tokens: PositiveInt = 128
    temperature: NonNegativeFloat = 0.0
    top_p: Annotated[float, Field(gt=0.0, le=1.0)] = 1.0
    seed: int = 0
    stop: tuple[str, ...] = ()


class TuneSpec(_Spec):
    """A fine-tuning recipe, the same for every backend.

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
        seed: Seeds data order and initialisation.
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
    seed: int = 0
    name: Annotated[str, Field(max_length=64)] = ""
    budget: Budget = Budget()
    options: dict[str, JsonValue] = Field(default_factory=dict)

    def fingerprint(self) -> str:
        """SHA-256 of the canonical JSON of every field but `name` (a label changes no weights)."""
        from tunekit._canonical import fingerprint

        return fingerprint(self.model_dump(mode="json", exclude={"name"}))

    @classmethod
    def from_json(cls, text: str | bytes) -> TuneSpec:
        """Read a spec from JSON, for example a stored one.

        Raises:
            SpecError: The text is not a valid spec; the message names each wrong field.
        """
        return parse_model(cls, text)


def parse_model(cls: type[ModelT], text: str | bytes) -> ModelT:
    """Validate JSON against a pydantic model, turning what is wrong into a `SpecError`."""
    from pydantic import ValidationError

    from tunekit.errors import SpecError

    try:
        return cls.model_validate_json(text)
    except ValidationError as error:
        # include_input=False: a pydantic error would otherwise print neighbouring values, secrets included.
        found = error.errors(include_input=False, include_url=False, include_context=False)
        problems = "; ".join(
            f"{'.'.join(map(str, item['loc'])) or 'document'}: {item['msg']}" for item in found
        )
        raise SpecError(
            f"not a valid {cls.__name__}: {problems}", hint="compare with the API reference"
        ) from None
