"""Texts as vectors: the states of a frozen model, pooled. Knows families and layouts; no classifier and no file.

A layer is what transformers calls a hidden state: 0 are the embeddings, the last is what the model hands on. Texts lie
end to end where the model's attention allows it, else they are padded and masked; either way a text's vector does not
depend on what stands beside it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import torch
from torch.nn.utils.rnn import pad_sequence

from tunekit.errors import SpecError
from tunekit.training.models.attention import inputs, supports_end_to_end
from tunekit.training.models.families import Family, family_of
from tunekit.training.models.layouts import Piece
from tunekit.training.plan.device import Device

Pooling: TypeAlias = Literal["mean", "cls", "last"]

_VALUES_PER_PASS = 1 << 25  # 128 MB of states in fp32
_TOKENS_PER_PASS = (256, 4096)  # below and above that, passes gain nothing on a CPU


@dataclass(frozen=True, slots=True, kw_only=True)
class Features:
    """A frozen model that makes a vector of a text.

    Attributes:
        model: A transformers or PEFT model, in evaluation mode.
        body: The part of it that has the states: without its head, of an encoder-decoder the encoder.
        device: Where it computes.
        layers: Whose states are taken, counted from 0, ascending.
        pooling: How the states of a text become one vector: their mean, the first, or the last.
        depth: The last layer there is.
        width: Numbers in a state.
        end_to_end: Lay texts behind each other without padding; the body has been switched to attention for that.
    """

    model: Any
    body: Any
    device: Device
    layers: tuple[int, ...]
    pooling: Pooling
    depth: int
    width: int
    end_to_end: bool

    @classmethod
    def of(
        cls,
        model: Any,
        device: Device,
        *,
        layer: int | Literal["auto"] = -1,
        pooling: Pooling | Literal["auto"] = "auto",
        longest: int,
    ) -> Features:
        """Find out what the model can do, and what "auto" means for it.

        Args:
            model: A model in evaluation mode on its device.
            device: That device.
            layer: As in `Probe.layer`.
            pooling: As in `Probe.pooling`.
            longest: Longest text in tokens.

        Raises:
            SpecError: The model has no such layer, or such a pooling says nothing about its texts.
        """
        body, family = body_of(model), family_of(model.config)
        with torch.no_grad(), device.autocast():
            states = _try_out(body, device)
            # T5 adds its positions to the scores, which the attention for texts end to end leaves out.
            fits = family != "encoder-decoder" and supports_end_to_end(
                body, longest=longest, causal=family == "decoder"
            )
        return cls(
            model=model,
            body=body,
            device=device,
            layers=layers_of(layer, depth=len(states) - 1),
            pooling=pooling_of(pooling, family),
            depth=len(states) - 1,
            width=states[-1].shape[-1],
            end_to_end=fits,
        )

    @property
    def family(self) -> Family:
        """What kind of model it is."""
        return family_of(self.model.config)

    @property
    def tokens_per_pass(self) -> int:
        """Most tokens of one forward pass, so that the states of all layers fit into a bounded piece of memory."""
        low, high = _TOKENS_PER_PASS
        return max(low, min(high, _VALUES_PER_PASS // (self.width * (self.depth + 1))))

    @torch.no_grad()
    def __call__(self, texts: Sequence[Sequence[int]]) -> torch.Tensor:
        """The vectors of some texts in one forward pass, fp32, shape (texts, layers, width).

        Args:
            texts: Token ids of each, special tokens included.
        """
        told, real = self._end_to_end(texts) if self.end_to_end else self._padded(texts)
        lengths = torch.tensor([len(text) for text in texts], device=self.device.name)
        with self.device.autocast():
            states = self._states(told)
        return torch.stack([pooled(state[real].float(), lengths, self.pooling) for state in states], dim=1)

    def _states(self, told: dict[str, Any]) -> list[torch.Tensor]:
        """States of the layers asked for, each of shape (rows, length, width)."""
        if self.layers == (self.depth,):
            return [self.body(**told).last_hidden_state]
        states = self.body(**told, output_hidden_states=True).hidden_states
        return [states[layer] for layer in self.layers]

    def _end_to_end(self, texts: Sequence[Sequence[int]]) -> tuple[dict[str, Any], torch.Tensor]:
        pieces, start = [], 0
        for text in texts:
            pieces.append(Piece(start=start, stop=start + len(text)))
            start += len(text)
        ids = torch.tensor([[token for text in texts for token in text]], device=self.device.name)
        told = inputs(ids, pieces) | ({"use_cache": False} if self.family == "decoder" else {})
        return told, torch.ones_like(ids, dtype=torch.bool)

    def _padded(self, texts: Sequence[Sequence[int]]) -> tuple[dict[str, Any], torch.Tensor]:
        rows = [torch.tensor(text, dtype=torch.int64) for text in texts]
        pad_id = self.model.config.get_text_config().pad_token_id
        ids = pad_sequence(rows, batch_first=True, padding_value=0 if pad_id is None else pad_id)
        real = pad_sequence([torch.ones_like(row) for row in rows], batch_first=True)
        told: dict[str, Any] = {"input_ids": ids.to(self.device.name)}
        if self.family == "decoder":  # padding on the right is out of every real token's sight
            told["use_cache"] = False
        else:
            told["attention_mask"] = real.to(self.device.name)
        return told, real.bool().to(self.device.name)


def pooled(states: torch.Tensor, lengths: torch.Tensor, pooling: Pooling) -> torch.Tensor:
    """One vector per text, shape (texts, width).

    Args:
        states: Of the tokens of all texts behind each other, shape (tokens, width).
        lengths: Tokens of each text.
        pooling: Their mean, the first, or the last.

    Examples:
        >>> states = torch.tensor([[1.0], [3.0], [5.0]])
        >>> pooled(states, torch.tensor([2, 1]), "mean").tolist()
        [[2.0], [5.0]]
    """
    ends = lengths.cumsum(0)
    if pooling == "last":
        return states[ends - 1]
    if pooling == "cls":
        return states[ends - lengths]
    owners = torch.arange(len(lengths), device=lengths.device).repeat_interleave(lengths)
    sums = states.new_zeros(len(lengths), states.shape[1]).index_add(0, owners, states)
    return sums / lengths[:, None]


def layers_of(layer: int | Literal["auto"], *, depth: int) -> tuple[int, ...]:
    """The layers that are looked at, counted from 0, ascending.

    "auto" is half-way up, three quarters up and the last. Layers between the middle and the end often serve better than
    the last one (Skean et al. 2025, arXiv 2502.02013, over 32 tasks); that it is these three is our own choice: each
    layer costs a cross-validation.

    Args:
        layer: As in `Probe.layer`.
        depth: The last layer there is.

    Raises:
        SpecError: There is no such layer.

    Examples:
        >>> layers_of("auto", depth=6), layers_of(-1, depth=6)
        ((3, 5, 6), (6,))
    """
    if layer == "auto":
        return tuple(sorted({-(-depth // 2), -(-3 * depth // 4), depth}))
    if not -depth - 1 <= layer <= depth:
        raise SpecError(
            f"layer is {layer}, and the model's layers are 0 (its embeddings) to {depth}",
            hint=f"use 0 to {depth}, or -1 to {-depth - 1} counted from the last, or 'auto'",
        )
    return (layer % (depth + 1),)


def pooling_of(pooling: Pooling | Literal["auto"], family: Family) -> Pooling:
    """How the states of a text become one vector.

    Args:
        pooling: As in `Probe.pooling`.
        family: "auto" is the mean where every state has seen the whole text, else the last, which has.

    Raises:
        SpecError: A decoder's first state has seen nothing but the first token.

    Examples:
        >>> pooling_of("auto", "encoder"), pooling_of("auto", "decoder")
        ('mean', 'last')
    """
    if pooling == "auto":
        return "last" if family == "decoder" else "mean"
    if pooling == "cls" and family == "decoder":
        raise SpecError(
            "pooling is 'cls', and the first state of a decoder has seen nothing of the text but its first token",
            hint="use 'last' or 'mean' with a decoder",
        )
    return pooling


def body_of(model: Any) -> Any:
    """The part of a transformers or PEFT model that has the states: without its head, of two halves the encoder."""
    bare = model.get_base_model() if hasattr(model, "get_base_model") else model
    return bare.get_encoder() if bare.config.is_encoder_decoder else bare.base_model


def _try_out(body: Any, device: Device) -> tuple[torch.Tensor, ...]:
    """The states of one token: how many there are, and how wide, no configuration says of every family."""
    ids = torch.zeros((1, 1), dtype=torch.int64, device=device.name)
    states: tuple[torch.Tensor, ...] = body(input_ids=ids, output_hidden_states=True).hidden_states
    return states
