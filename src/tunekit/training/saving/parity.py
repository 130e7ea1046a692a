"""Whether two loaded models say the same of one text. Knows logits and tolerances; not how either was made."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import torch

from tunekit.errors import ModelError
from tunekit.training.models import load
from tunekit.training.models.families import auto_class
from tunekit.training.models.load import LoadedModel
from tunekit.training.saving.artifacts import Card

_TEXT = "The quick brown fox jumps over the lazy dog. 3 + 4 = 7; is it?"
_MOST_TOKENS = 32
_TOLERANCES = {torch.float32: 1e-5, torch.float16: 1e-2, torch.bfloat16: 5e-2}
"""Largest difference, relative to the largest logit. In fp32 5e-7 is what merging was seen to cost."""


@torch.inference_mode()
def logits(loaded: LoadedModel, *, of: Any = None) -> torch.Tensor:
    """What a model says of a fixed text, in fp32.

    Args:
        loaded: An artifact; its tokenizer reads the text.
        of: Another model of the same architecture; None is the artifact's own.
    """
    model = loaded.model if of is None else of
    text = loaded.template.encode(_TEXT)[:_MOST_TOKENS]
    if loaded.classes and loaded.family == "encoder-decoder":
        text.append(loaded.tokenizer.eos_token_id)  # its head reads the state of that
    ids = torch.tensor([text], device=model.device)
    inputs = {"input_ids": ids}
    if loaded.family == "encoder-decoder" and not loaded.classes:
        inputs["decoder_input_ids"] = ids
    said: torch.Tensor = model.eval()(**inputs).logits
    return said.float().cpu()


def plain_model(card: Card, directory: Path) -> Any:
    """A model directory as anybody loads it, its weights widened to fp32 so that only they make a difference."""
    return load.load_base(directory, head="classes" if card.labels else "tokens")


def plain_adapter(card: Card, directory: Path) -> Any:
    """An adapter directory as anybody loads it: the base by transformers, the adapter by PEFT."""
    from peft import PeftModel

    config = load.load_config(card.base_model, revision=card.revision)
    if card.labels:
        config.num_labels = len(card.labels)
    base = auto_class(config, "classes" if card.labels else "tokens").from_pretrained(
        card.base_model, config=config, revision=card.revision, dtype=torch.float32
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # load.load has looked at them already
        return PeftModel.from_pretrained(base, str(directory))


def require_close(expected: torch.Tensor, found: torch.Tensor, dtype: torch.dtype) -> float:
    """The largest difference, relative to the largest logit.

    Raises:
        ModelError: It is more than rounding to `dtype` explains.
    """
    error = float((expected - found).abs().max() / expected.abs().max().clamp_min(1e-9))
    if not error <= _TOLERANCES[dtype]:
        raise ModelError(
            f"what was exported does not give the logits of the artifact: they differ by {error:.2g} of the largest",
            hint="nothing was written; export an adapter as 'adapter', and report this with the architecture",
        )
    return error
