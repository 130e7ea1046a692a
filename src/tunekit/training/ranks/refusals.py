"""What cannot be trained with weights that are shared out. Knows specs; imports no torch, so a host can ask."""

from __future__ import annotations

from tunekit.errors import UnsupportedError
from tunekit.spec import RFT, LoRA, TuneSpec


def refuse_sharing_out(spec: TuneSpec) -> None:
    """Look whether ranks can train this with a share of the weights each.

    Raises:
        UnsupportedError: They cannot; the message says why.
    """
    if isinstance(spec.method, RFT):
        raise UnsupportedError(
            'RFT does not train with strategy="fsdp": while answers are drawn, every token of every answer would take '
            "all weights from all devices",
            hint='use strategy="ddp", or a model that fits one device',
        )
    adapter = getattr(spec.method, "adapter", None)
    if isinstance(adapter, LoRA) and adapter.quantization:
        raise UnsupportedError(
            'weights of 4 bits cannot be shared out by strategy="fsdp"',
            hint='use strategy="ddp", or leave the quantization out',
        )
