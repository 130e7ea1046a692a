"""Answers as they grow, token by token, with what this needs to be remembered. Knows families; chooses no token."""

from __future__ import annotations

import copy
import inspect
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Self, TypeVar

import torch

from tunekit.errors import ModelError

T = TypeVar("T")


class Texts(ABC):
    """Texts that a model writes together, with what it remembers of each.

    Attributes:
        logits: Of the next token of each, shape (texts, vocabulary).
    """

    logits: torch.Tensor
    _cache: Any = None

    @abstractmethod
    def read(self, ids: torch.Tensor) -> torch.Tensor:
        """Tokens that go on with each text, int64, shape (texts, tokens).

        Returns:
            The logits behind each of them, shape (texts, tokens, vocabulary).
        """

    def append(self, tokens: torch.Tensor) -> None:
        """One more token of each, int64, shape (texts,); the logits are then those behind it."""
        self.read(tokens[:, None])

    @abstractmethod
    def keep(self, rows: torch.Tensor) -> None:
        """Forget all but these, int64, in this order. The logits are out of date until the next `append`."""

    def _said(self, logits: torch.Tensor) -> torch.Tensor:
        """Those behind the last tokens are what comes next."""
        self.logits = logits[:, -1]
        return logits

    def repeat(self, copies: int) -> None:
        """Each of them so many times, next to each other, with its logits."""
        rows = torch.arange(len(self.logits), device=self.logits.device).repeat_interleave(copies)
        self.logits = self.logits[rows]
        self.keep(rows)

    def copies(self, count: int) -> Self:
        """Each of them so many times, next to each other; what these read, they do not."""
        twins = copy.copy(self)
        twins._cache = copy.deepcopy(self._cache)
        twins.repeat(count)
        return twins


def grow(
    texts: Texts,
    answers: Sequence[T],
    take: Callable[[torch.Tensor, Sequence[T]], torch.Tensor],
    has_ended: Callable[[T], bool],
) -> Iterator[None]:
    """Write answers to their ends; yields each time all that go on are one token longer.

    Args:
        texts: What the answers follow, in their order.
        answers: New ones. Each leaves as soon as it has ended, so that nothing is computed for it any more.
        take: Given the logits of some answers, chooses and notes the next token of each; int64, shape (answers,).
        has_ended: Whether an answer needs no more.
    """
    going = list(answers)
    while True:
        tokens = take(texts.logits, going)
        yield
        left = [at for at, answer in enumerate(going) if not has_ended(answer)]
        if not left:
            return
        if len(left) < len(going):
            rows = torch.tensor(left, device=tokens.device)
            texts.keep(rows)
            tokens, going = tokens[rows], [going[at] for at in left]
        texts.append(tokens)


class DecoderTexts(Texts):
    """Prompts padded on the left, so that all of them end, and answers begin, in the same column.

    Args:
        model: A decoder-only model that heeds masks (see `attention.with_masks`), in evaluation mode.
        prompts: Token ids.
    """

    def __init__(self, model: Any, prompts: Sequence[Sequence[int]]) -> None:
        self._model = model
        # Without padding there is nothing to mask or to count, and attention takes its causal fast path.
        padded = len({len(prompt) for prompt in prompts}) > 1
        ids, mask = (part.to(model.device) for part in _left_padded(prompts))
        self._mask = mask if padded else None
        bare = model.get_base_model() if hasattr(model, "get_base_model") else model
        read = inspect.signature(bare.forward).parameters
        if "past_key_values" not in read:
            raise ModelError(
                f"a {model.config.model_type!r} model remembers what it has read in a way that is not known here",
                hint="it can be trained with SFT() and preferences; to write answers, use a model with attention",
            )
        self._counts = "position_ids" in read
        self._read(ids, logits_to_keep=1)

    def read(self, ids: torch.Tensor) -> torch.Tensor:
        """See `Texts.read`."""
        if self._mask is not None:
            self._mask = torch.cat([self._mask, self._mask.new_ones(ids.shape)], dim=1)
        return self._read(ids)

    def keep(self, rows: torch.Tensor) -> None:
        """See `Texts.keep`. It copies the cache once, as each token does."""
        self._cache.reorder_cache(rows)  # `batch_select_indices` forgets the states of linear attention
        if self._mask is not None:
            self._mask = self._mask[rows]

    def _read(self, ids: torch.Tensor, **told: Any) -> torch.Tensor:
        if self._mask is not None:
            told["attention_mask"] = self._mask
            if self._counts:
                told["position_ids"] = (self._mask.cumsum(dim=1) - 1).clamp(min=0)[:, -ids.shape[1] :]
        output = self._model(input_ids=ids, past_key_values=self._cache, use_cache=True, **told)
        self._cache = output.past_key_values
        return self._said(output.logits)


def _left_padded(prompts: Sequence[Sequence[int]]) -> tuple[torch.Tensor, torch.Tensor]:
    """Ids and attention mask, both (prompts, longest)."""
    longest = max(map(len, prompts))
    ids = torch.tensor([[0] * (longest - len(prompt)) + list(prompt) for prompt in prompts])
    mask = torch.tensor([[0] * (longest - len(prompt)) + [1] * len(prompt) for prompt in prompts])
    return ids, mask


class EncoderDecoderTexts(Texts):
    """Encoded prompts, and behind a start token what the decoder writes while it looks at them.

    Args:
        module: An encoder-decoder, in evaluation mode.
        told: What the encoder reads: `input_ids` and `attention_mask`, on the model's device.
        start_id: What the decoder reads before an answer.
    """

    def __init__(self, module: Any, told: Mapping[str, torch.Tensor], *, start_id: int) -> None:
        self._module = module
        self._states = module.get_encoder()(**told).last_hidden_state
        self._mask = told["attention_mask"]
        self.append(torch.full((len(self._mask),), start_id, device=self._mask.device))

    def read(self, ids: torch.Tensor) -> torch.Tensor:
        """See `Texts.read`."""
        from transformers.modeling_outputs import BaseModelOutput

        output = self._module(
            encoder_outputs=BaseModelOutput(last_hidden_state=self._states),
            attention_mask=self._mask,
            decoder_input_ids=ids,
            past_key_values=self._cache,
            use_cache=True,
        )
        self._cache = output.past_key_values
        return self._said(output.logits)

    def keep(self, rows: torch.Tensor) -> None:
        """See `Texts.keep`."""
        self._cache.batch_select_indices(rows)
        self._states, self._mask = self._states[rows], self._mask[rows]
