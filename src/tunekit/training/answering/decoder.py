"""Answers of a decoder: prompt and answer are one text. Knows caches and left padding, not who asks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch

from tunekit.training import render
from tunekit.training.answering.base import Answering


class DecoderAnswering(Answering):
    """A decoder-only model, such as Llama."""

    __slots__ = ()

    def room(self, prompt: int) -> int:
        """See `Answering.room`: what the prompt leaves of the context."""
        return self.loaded.max_length - prompt

    def written(self, prompts: list[list[int]], config: Any) -> torch.Tensor:
        """See `Answering.written`."""
        ids, mask = _left_padded(prompts, pad=config.pad_token_id)
        device = self.loaded.model.device
        output: torch.Tensor = self.loaded.model.generate(
            input_ids=ids.to(device), attention_mask=mask.to(device), generation_config=config
        )
        return output[:, ids.shape[1] :]

    def log_probs(self, prompt: list[int], choices: list[list[int]]) -> list[float]:
        """See `Answering.log_probs`: the prompt's key/value cache is repeated once per choice."""
        model = self.loaded.model
        ids = torch.tensor([prompt], device=model.device)
        first = model(input_ids=ids, use_cache=True, logits_to_keep=1)
        cache = first.past_key_values
        cache.batch_repeat_interleave(len(choices))
        return self._log_probs(first.logits[0, -1], cache, choices)

    def _log_probs(self, next_logits: torch.Tensor, cache: Any, choices: list[list[int]]) -> list[float]:
        """`next_logits` are those behind the prompt's last token, shape (vocabulary,)."""
        longest = max(map(len, choices))
        device = next_logits.device
        # Right padding needs no mask: with causal attention no real token looks at what follows it.
        ids = torch.tensor([choice + [0] * (longest - len(choice)) for choice in choices], device=device)
        logits = next_logits.expand(len(choices), 1, -1)
        if longest > 1:
            rest = self.loaded.model(input_ids=ids[:, :-1], past_key_values=cache, use_cache=True).logits
            logits = torch.cat([logits, rest], dim=1)
        picked = logits.float().log_softmax(dim=-1).gather(-1, ids[..., None])[..., 0]
        lengths = torch.tensor([[len(choice)] for choice in choices], device=device)
        real = torch.arange(longest, device=device) < lengths
        return picked.masked_fill(~real, 0.0).sum(dim=1).tolist()

    def _prompt_ids(self, request: Mapping[str, Any]) -> list[int]:
        loaded, tools = self.loaded, request.get("tools", ())
        return render.render_prompt(loaded.template, request["prompt"], loaded.prompt_format, tools=tools)

    def _choice_ids(self, request: Mapping[str, Any], choice: str, prompt: Sequence[int]) -> list[int]:
        return render.render_answer(
            self.loaded.template,
            choice,
            request["prompt"],
            self.loaded.prompt_format,
            tools=request.get("tools", ()),
            prompt_ids=prompt,
        )


def _left_padded(prompts: list[list[int]], *, pad: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Ids and attention mask, both (batch, longest): answers begin where all prompts end."""
    longest = max(map(len, prompts))
    ids = torch.tensor([[pad] * (longest - len(prompt)) + prompt for prompt in prompts])
    mask = torch.tensor([[0] * (longest - len(prompt)) + [1] * len(prompt) for prompt in prompts])
    return ids, mask
