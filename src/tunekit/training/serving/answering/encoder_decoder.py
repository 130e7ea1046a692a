"""Answers of an encoder-decoder: the prompt is encoded, the answer is a text of its own. It does not know who asks."""

from __future__ import annotations

from tunekit.training.models.encoder_decoder import EncoderDecoder, decoder_start_id
from tunekit.training.plan.device import Device
from tunekit.training.serving.answering import cached_choices
from tunekit.training.serving.answering.base import Answering
from tunekit.training.serving.continuing import Texts
from tunekit.training.texts import pairs


class EncoderDecoderAnswering(Answering):
    """An encoder-decoder, such as T5."""

    write_prompt = staticmethod(pairs.render_source)
    write_answer = staticmethod(pairs.render_target)

    def room(self, prompt: int) -> int:
        """See `Answering.room`: the answer has positions of its own, as many as the prompt."""
        return self.loaded.max_length if prompt <= self.loaded.max_length else 0

    def begin(self, prompts: list[list[int]]) -> Texts:
        """See `Answering.begin`."""
        return self._model().begun(prompts)

    def log_probs(self, prompt: list[int], choices: list[list[int]]) -> list[float]:
        """See `Answering.log_probs`: what the decoder looks at is computed once."""
        return cached_choices.log_probs(self.begin([prompt]), choices, prompt=len(prompt))

    def _model(self) -> EncoderDecoder:
        module = self.loaded.model
        device = Device(name=str(module.device), frozen_dtype=module.dtype, compute_dtype=None)
        # Every position is asked for, so there is nothing to select.
        return EncoderDecoder(
            module=module, device=device, pad_id=0, start_id=decoder_start_id(module), selects_rows=False
        )
