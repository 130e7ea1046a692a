"""What part of a model is trained. Knows the choices and their papers; not how they are built.

Part of a `TuneSpec`; see `spec`.
"""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias

from pydantic import Field, PositiveFloat, PositiveInt

from tunekit._validation import Auto, Spec


class LoRA(Spec):
    """Low-rank adapters beside frozen weights (Hu et al. 2021, arXiv 2106.09685).

    Attributes:
        rank: Inner dimension r. 32 is what Tinker takes, too, and did better than 16 on small models
            (docs/performance.md); "auto" takes the smallest that has room for what the data say.
        alpha: Scale numerator; the update is multiplied by alpha / rank (alpha / sqrt(rank) for rsLoRA).
            None means 2 * rank.
        dropout: Dropout on the adapter's input. That which the model itself was published with (GPT-2, T5, BERT) is on
            beside it, whatever is trained.
        target_modules: Which linear layers get one; "all-linear" leaves out the output head and the embeddings. Of a
            mixture of experts it is the attention and every expert (these take no dropout, DoRA or PiSSA); the router
            stays as it is.
            The vocabulary is never resized.
        init: How an adapter begins: "default" changes nothing at first (Hu et al. 2021); "pissa" takes over the largest
            singular values of the frozen weight (Meng et al. 2024, arXiv 2404.02948). The artifact is a plain
            adapter of twice the rank, since the base that others load is the untouched one.
        quantization: "nf4" keeps the frozen weights in 4 bits (QLoRA, Dettmers et al. 2023, arXiv 2305.14314); needs a
            CUDA device and `tunekit[qlora]`. The artifact is served on the base as it is, not in 4 bits.
        dora: Learn magnitude and direction apart (Liu et al. 2024, arXiv 2402.09353).
        rslora: Rank-stabilised scale (Kalajdzievski 2023, arXiv 2312.03732).

    Examples:
        >>> LoRA(rank=8).alpha is None
        True
    """

    type: Literal["lora"] = "lora"
    rank: PositiveInt | Auto = 32
    alpha: PositiveFloat | None = None
    dropout: Annotated[float, Field(ge=0.0, lt=1.0)] = 0.0
    target_modules: Literal["all-linear"] | tuple[str, ...] = "all-linear"
    dora: bool = False
    rslora: bool = False
    init: Literal["default", "pissa"] = "default"
    quantization: Literal["nf4"] | None = None

    def alpha_at(self, rank: int) -> float:
        """Alpha of an adapter of this rank, which is what "auto" has come to."""
        return 2 * rank if self.alpha is None else self.alpha


class FullWeights(Spec):
    """Train every weight of the model.

    Examples:
        >>> from tunekit import SFT
        >>> SFT(adapter=FullWeights()).adapter.type
        'full'
    """

    type: Literal["full"] = "full"


class LastLayers(Spec):
    """Train the last layers of the model and its head; what lies below stays as it is and is cheaper to run.

    Attributes:
        layers: How many, counted from the end.

    Examples:
        >>> from tunekit import Classify
        >>> Classify(adapter=LastLayers(layers=1)).adapter.layers
        1
    """

    type: Literal["last-layers"] = "last-layers"
    layers: PositiveInt = 2


Adapter: TypeAlias = Annotated[LoRA | FullWeights | LastLayers, Field(discriminator="type")]
