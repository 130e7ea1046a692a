"""What is learned and how. Knows the choices and their papers; not how they are computed.

Part of a `TuneSpec`; see `spec`.
"""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias

from pydantic import Field, JsonValue, NonNegativeFloat, PositiveFloat, PositiveInt

from tunekit._validation import Auto, Spec
from tunekit.adapters import Adapter, FullWeights, LoRA

PromptFormat: TypeAlias = Literal["auto", "chat", "text"]


class SFT(Spec):
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


class DPO(Spec):
    """Learning from pairs of a better and a worse answer, without a reward model.

    Attributes:
        adapter: What is trained.
        prompt_format: As in `SFT`.
        beta: How much is made of a difference in log-probability; for IPO and SimPO, of one per token.
        loss: "sigmoid" is DPO (Rafailov et al. 2023, arXiv 2305.18290), "ipo" regresses to a margin (Azar et al. 2023,
            arXiv 2310.12036), "orpo" adds an odds ratio to SFT (Hong et al. 2024, arXiv 2403.07691), "simpo" compares
            log-probabilities per token (Meng et al. 2024, arXiv 2405.14734). The last two need no reference model.
        label_smoothing: Share of pairs that are taken to be the wrong way round (cDPO, Mitchell 2023); "sigmoid" only.
        margin: By how much SimPO wants the better answer ahead, as a share of beta (gamma / beta in the paper).

    Examples:
        >>> from tunekit import TuneSpec
        >>> TuneSpec(method=DPO(beta=0.2)).method.loss
        'sigmoid'
    """

    type: Literal["dpo"] = "dpo"
    adapter: Adapter = LoRA()
    prompt_format: PromptFormat = "auto"
    beta: PositiveFloat = 0.1
    loss: Literal["sigmoid", "ipo", "orpo", "simpo"] = "sigmoid"
    label_smoothing: Annotated[float, Field(ge=0.0, lt=0.5)] = 0.0
    margin: NonNegativeFloat = 0.5


class KTO(Spec):
    """Learning from answers that were called good or bad, each on its own (Ethayarajh et al. 2024, arXiv 2402.01306).

    Attributes:
        adapter: What is trained.
        prompt_format: As in `SFT`.
        beta: How much is made of a difference in log-probability.
        desirable_weight: What a good answer counts.
        undesirable_weight: What a bad answer counts.

    Examples:
        >>> KTO(undesirable_weight=2.0).type
        'kto'
    """

    type: Literal["kto"] = "kto"
    adapter: Adapter = LoRA()
    prompt_format: PromptFormat = "auto"
    beta: PositiveFloat = 0.1
    desirable_weight: PositiveFloat = 1.0
    undesirable_weight: PositiveFloat = 1.0


class RFT(Spec):
    """Reinforcement fine-tuning: answers are drawn, graded, and made more or less likely by how they compare.

    Group-relative policy gradient (GRPO, Shao et al. 2024, arXiv 2402.03300), with the mean over all tokens of a step
    and without dividing by the group's spread (Liu et al. 2025, arXiv 2503.20783). Locally, a `python` grader runs in a
    limited child process, and graders that ask a model are not supported; see `tunekit.graders`.

    Attributes:
        adapter: What is trained.
        grader: Scores an answer; OpenAI grader JSON.
        group_size: Answers drawn to each prompt.
        max_tokens: Longest answer, in tokens.
        temperature: Of the draw.
        kl_weight: Weight of the distance to the untrained model; 0 leaves it out.

    Examples:
        >>> grader = {"type": "string_check", "operation": "eq",
        ...           "input": "{{sample.output_text}}", "reference": "{{item.answer}}"}
        >>> RFT(grader=grader).grader["operation"]
        'eq'
    """

    type: Literal["rft"] = "rft"
    adapter: Adapter = LoRA()
    grader: dict[str, JsonValue]
    group_size: Annotated[int, Field(ge=2)] = 8
    max_tokens: PositiveInt = 256
    temperature: PositiveFloat = 1.0
    kl_weight: NonNegativeFloat = 0.0


class Classify(Spec):
    """A classification head trained together with the model.

    Data with several classes to a text make it multi-label: one yes or no for each class.

    Attributes:
        adapter: What is trained beside the head, which always is.
        class_weights: What each class counts in the loss: "equal", "balanced" (inverse to its share of the rows, as in
            scikit-learn), or a weight by class name.
        dropout: On what the head reads.

    Examples:
        >>> Classify(class_weights="balanced").adapter.type
        'full'
    """

    type: Literal["classify"] = "classify"
    adapter: Adapter = FullWeights()
    class_weights: Literal["equal", "balanced"] | dict[str, PositiveFloat] = "equal"
    dropout: Annotated[float, Field(ge=0.0, lt=1.0)] = 0.0


class Probe(Spec):
    """Feature extraction: a linear classifier on features of the frozen model.

    Every text goes through the model once; whatever is chosen is chosen on the cached features.

    Attributes:
        layer: Whose output is taken, counted from 0 (the embeddings) or, if negative, from the last. "auto" chooses by
            cross-validation among a few: the last that is within one standard error of the best.
        pooling: How the states of a text become one vector: their mean, the first ("cls"), or the last. "auto" is what
            the family was made for: the mean for encoders, the last for decoders.
        regularisation: Inverse strengths C to choose from by cross-validation, as in scikit-learn; 1e-9 to 1e9.
        folds: Of the cross-validation.
        class_weights: As in `Classify`.

    Examples:
        >>> from tunekit import TuneSpec
        >>> TuneSpec(method=Probe(pooling="mean")).method.folds
        5
    """

    type: Literal["probe"] = "probe"
    layer: int | Auto = "auto"
    pooling: Literal["mean", "cls", "last"] | Auto = "auto"
    regularisation: Annotated[tuple[Annotated[float, Field(ge=1e-9, le=1e9)], ...], Field(min_length=1)] = (
        0.01,
        0.1,
        1.0,
        10.0,
        100.0,
    )
    folds: Annotated[int, Field(ge=2)] = 5
    class_weights: Literal["equal", "balanced"] | dict[str, PositiveFloat] = "equal"


Method: TypeAlias = Annotated[SFT | DPO | KTO | RFT | Classify | Probe, Field(discriminator="type")]
