"""Answers of a decoder: prompt and answer are one text. Knows where it stands; not who asks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

from tunekit.training.serving.answering import cached_choices, choice_tree
from tunekit.training.serving.answering.base import Answering
from tunekit.training.serving.answering.choice_tree import ChoiceTree
from tunekit.training.serving.continuing import DecoderTexts, Texts
from tunekit.training.texts import render


class DecoderAnswering(Answering):
    """A decoder-only model, such as Llama."""

    write_prompt = staticmethod(render.render_prompt)
    write_answer = staticmethod(render.render_answer)

    def continued(self, request: Mapping[str, Any], prompt: Sequence[int]) -> Sequence[int]:
        """See `Answering.continued`: a prompt that is written as it is, and no turn of a chat."""
        is_text = isinstance(request["prompt"], str) and self.prompt_format(request) == "text"
        return prompt if is_text and self.loaded.template.adds_space else ()

    def room(self, prompt: int) -> int:
        """See `Answering.room`: what the prompt leaves of the context."""
        return self.loaded.max_length - prompt

    def begin(self, prompts: list[list[int]]) -> Texts:
        """See `Answering.begin`."""
        return DecoderTexts(self.loaded.model, prompts)

    def log_probs(self, prompt: list[int], choices: list[list[int]]) -> list[float]:
        """See `Answering.log_probs`."""
        model = self.loaded.model
        if not (choice_tree.fits(model, prompt, choices) and self._takes_trees):
            return cached_choices.log_probs(self.begin([prompt]), choices, prompt=len(prompt))
        tree = ChoiceTree.of(prompt, choices)
        return tree.log_probs(tree.logits(model), choices)

    @cached_property
    def _takes_trees(self) -> bool:
        return choice_tree.takes_trees(self.loaded.model)
