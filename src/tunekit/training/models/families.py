"""Which family a model is of, and what it is loaded as. Knows transformers' configurations; loads nothing.

A model is a decoder (Llama, GPT-2), an encoder-decoder (T5) or an encoder (BERT). What a method needs is a head: one
that writes tokens, one that names classes, or none.
"""

from __future__ import annotations

from typing import Any, Literal, TypeAlias

from tunekit.errors import ModelError

Family: TypeAlias = Literal["decoder", "encoder-decoder", "encoder"]
Head: TypeAlias = Literal["tokens", "classes", "none"]


def family_of(config: Any) -> Family:
    """The family that a model's configuration describes.

    Some configurations describe an encoder that could be a decoder (BERT's can): those are taken for encoders unless
    they say `is_decoder`.

    Args:
        config: A transformers configuration.
    """
    from transformers.models.auto.modeling_auto import (
        MODEL_FOR_CAUSAL_LM_MAPPING_NAMES,
        MODEL_FOR_MASKED_LM_MAPPING_NAMES,
    )

    if config.is_encoder_decoder:
        return "encoder-decoder"
    fills_gaps = config.model_type in MODEL_FOR_MASKED_LM_MAPPING_NAMES and not getattr(
        config, "is_decoder", False
    )
    if fills_gaps or config.get_text_config().model_type not in MODEL_FOR_CAUSAL_LM_MAPPING_NAMES:
        return "encoder"
    return "decoder"


def auto_class(config: Any, head: Head) -> Any:
    """The transformers class that loads a model with this head.

    Raises:
        ModelError: The family has no such head.
    """
    import transformers

    if head == "classes":
        if type(config) not in transformers.MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING:
            raise ModelError(
                f"transformers has no head of classes for {config.model_type!r} models",
                hint="use Probe() with it, or SFT() with the class as the answer",
            )
        return transformers.AutoModelForSequenceClassification
    if head == "none":
        return transformers.AutoModel
    family = family_of(config)
    if family == "encoder":
        raise ModelError(
            f"a {config.model_type!r} model is an encoder, which writes no text",
            hint="use Classify() or Probe() with it, or a decoder (Llama, Qwen) or encoder-decoder (T5) for this",
        )
    return transformers.AutoModelForCausalLM if family == "decoder" else transformers.AutoModelForSeq2SeqLM
