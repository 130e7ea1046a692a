"""An adapter's change added to the weights it was trained beside. Knows PEFT models; writes nothing.

The sum is made in fp32 and rounded once, at its end (in bf16 the change of a small adapter is lost in the rounding of
the weights; peft#2321).
"""

from __future__ import annotations

from typing import Any

import torch

from tunekit.errors import ModelError
from tunekit.training.models import load
from tunekit.training.models.load import LoadedModel
from tunekit.training.saving.artifacts import Card


def merged(loaded: LoadedModel, *, dtype: torch.dtype | None = None) -> Any:
    """The model of an artifact as a plain transformers model. What was loaded cannot be used any more.

    Args:
        loaded: An artifact that was loaded in fp32.
        dtype: Of the weights; None is that of the base's files, or of a whole model's own.

    Raises:
        ModelError: The merged weights are not finite.
    """
    model: Any = loaded.model
    if hasattr(model, "merge_and_unload"):
        _untie_trained(model)
        try:
            model = model.merge_and_unload(safe_merge=True)
        except ValueError as error:
            raise ModelError(
                f"the adapter cannot be merged: {str(error).splitlines()[0]}",
                hint="its weights are not finite; train again with a lower learning rate",
            ) from error
    return model.to(dtype or stored_dtype(loaded.card))


def stored_dtype(card: Card | None) -> torch.dtype:
    """What the base of an adapter is stored in; of a whole model, and where nothing says so, fp32."""
    if card is None or card.kind != "adapter":
        return torch.float32
    found = load.load_config(card.base_model, revision=card.revision).dtype
    found = getattr(torch, found, None) if isinstance(found, str) else found
    return found if isinstance(found, torch.dtype) else torch.float32


def _untie_trained(model: Any) -> None:
    """Give each of those that share the embeddings' matrix, and that the adapter changes, one of its own.

    Those are embeddings and head, and where encoder and decoder have embeddings, these.
    """
    bare = model.get_base_model()
    weight = _below_adapter(bare.get_input_embeddings()).weight
    layers = [part for part in bare.modules() if not hasattr(part, "get_base_layer")]
    sharing = [part for part in layers if getattr(part, "weight", None) is weight]
    adapted = {_below_adapter(part) for part in bare.modules() if hasattr(part, "get_base_layer")}
    if len(sharing) < 2 or adapted.isdisjoint(sharing):
        return
    for part in adapted.intersection(sharing):
        part.weight = torch.nn.Parameter(weight.detach().clone(), requires_grad=False)
    # transformers drops what it takes for a copy when it saves.
    bare.all_tied_weights_keys = {}
    if not hasattr(bare.config, "scale_decoder_outputs"):  # a T5 reads more than that into the flag
        bare.config.tie_word_embeddings = False


def _below_adapter(part: Any) -> Any:
    return part.get_base_layer() if hasattr(part, "get_base_layer") else part
