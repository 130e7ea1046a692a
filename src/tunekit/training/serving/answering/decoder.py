"""Answers of a decoder: prompt and answer are one text. Knows caches and left padding, not who asks."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any

import torch

from tunekit.training.serving.answering.base import Answering
from tunekit.training.serving.answering.choice_tree import ChoiceTree, farthest, takes_trees
from tunekit.training.serving.continuing import DecoderTexts, Texts
from tunekit.training.texts import render

_LOGITS_TOGETHER = 1 << 26  # 256 MB in fp32
_TOKENS_TOGETHER = 1 << 15  # of prompts and choices: it bounds the memory of keys and values
_TREE_TOKENS = 1 << 12  # of a prompt and its choices: a mask has the square of that


class DecoderAnswering(Answering):
    """A decoder-only model, such as Llama."""

    write_prompt = staticmethod(render.render_prompt)
    write_answer = staticmethod(render.render_answer)

    def continued(self, request: Mapping[str, Any], prompt: Sequence[int]) -> Sequence[int]:
        """See `Answering.continued`: a prompt that is written as it is, and no turn of a chat."""
        is_text = isinstance(request["prompt"], str) and self.loaded.prompt_format == "text"
        return prompt if is_text and self.loaded.template.adds_space else ()

    def room(self, prompt: int) -> int:
        """See `Answering.room`: what the prompt leaves of the context."""
        return self.loaded.max_length - prompt

    def begin(self, prompts: list[list[int]]) -> Texts:
        """See `Answering.begin`."""
        return DecoderTexts(self.loaded.model, prompts)

    def log_probs(self, prompt: list[int], choices: list[list[int]]) -> list[float]:
        """See `Answering.log_probs`: what choices begin with in common is computed once too."""
        if not self._fit_a_tree(prompt, choices):
            return self._behind_a_cache(prompt, choices)
        tree = ChoiceTree.of(prompt, choices)
        return tree.log_probs(tree.logits(self.loaded.model), choices)

    def _fit_a_tree(self, prompt: list[int], choices: list[list[int]]) -> bool:
        behind, longest = sum(map(len, choices)), len(prompt) + max(map(len, choices))
        return (
            len(prompt) + behind <= _TREE_TOKENS
            and behind * self._vocabulary <= _LOGITS_TOGETHER
            and longest <= (farthest(self.loaded.model) or longest)
            and self._takes_trees
        )

    @cached_property
    def _takes_trees(self) -> bool:
        return takes_trees(self.loaded.model)

    def _behind_a_cache(self, prompt: list[int], choices: list[list[int]]) -> list[float]:
        """The prompt in one pass, and behind its keys and values the choices, as many at once as memory bears."""
        model = self.loaded.model
        shared = _common_beginning(choices)[: _LOGITS_TOGETHER // self._vocabulary]
        ids = torch.tensor([prompt + shared], device=model.device)
        first = model(input_ids=ids, use_cache=True, logits_to_keep=len(shared) + 1)
        begun = first.logits[:, :-1]
        same = float(_picked(begun, ids[:, len(prompt) :]).sum())
        rests = [choice[len(shared) :] for choice in choices]
        found = [same] * len(choices)
        for rows in self._together(rests, ids.shape[1]):
            sums = _after(model, first.past_key_values, first.logits[:, -1:], [rests[row] for row in rows])
            for row, value in zip(rows, sums, strict=True):
                found[row] += value
        return found

    @property
    def _vocabulary(self) -> int:
        return int(self.loaded.model.config.get_text_config().vocab_size)

    def _together(self, rests: list[list[int]], before: int) -> Iterator[list[int]]:
        """Choices of similar length, as many as memory bears. The empty one, if there is, is the shared beginning."""
        together: list[int] = []
        for row in sorted((row for row, rest in enumerate(rests) if rest), key=lambda row: len(rests[row])):
            count, longest = len(together) + 1, len(rests[row])
            full = (
                count * longest * self._vocabulary > _LOGITS_TOGETHER
                or count * (before + longest) > _TOKENS_TOGETHER
            )
            if together and full:
                yield together
                together = []
            together.append(row)
        if together:
            yield together


def _common_beginning(choices: list[list[int]]) -> list[int]:
    least, most = min(choices), max(choices)  # in order, so what these two begin with all between them do
    differ = (at for at, (one, other) in enumerate(zip(least, most, strict=False)) if one != other)
    return least[: next(differ, len(least))]


def _after(model: Any, cache: Any, next_logits: torch.Tensor, choices: list[list[int]]) -> list[float]:
    """Summed log-probability of each choice behind what the cache holds, which is left as it is.

    Args:
        model: The model.
        cache: Keys and values of one text.
        next_logits: Behind its last token, shape (1, 1, vocabulary).
        choices: None of them is empty.
    """
    longest, device = max(map(len, choices)), next_logits.device
    # Right padding needs no mask: with causal attention no real token looks at what follows it.
    ids = torch.tensor([choice + [0] * (longest - len(choice)) for choice in choices], device=device)
    found = [next_logits[0, 0].float().log_softmax(dim=-1)[ids[:, :1]]]
    if longest > 1:
        cache = copy.deepcopy(cache)
        cache.batch_repeat_interleave(len(choices))
    width = max(1, _LOGITS_TOGETHER // (len(choices) * next_logits.shape[-1]))
    for start in range(0, longest - 1, width):
        read = ids[:, start : min(start + width, longest - 1)]
        logits = model(input_ids=read, past_key_values=cache, use_cache=True).logits
        found.append(_picked(logits, ids[:, start + 1 : start + 1 + read.shape[1]]))
    lengths = torch.tensor([[len(choice)] for choice in choices], device=device)
    real = torch.arange(longest, device=device) < lengths
    sums: list[float] = torch.cat(found, dim=1).masked_fill(~real, 0.0).sum(dim=1).tolist()
    return sums


def _picked(logits: torch.Tensor, ids: torch.Tensor) -> torch.Tensor:
    """Log-probability of each token, fp32, shape (texts, tokens)."""
    exact = logits.float()
    return exact.gather(-1, ids[..., None])[..., 0] - exact.logsumexp(dim=-1)
