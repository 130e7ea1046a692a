"""Vectors of texts from a loaded model. Knows batches and what the model's directory says of them; not where it lies.

A directory that sentence-transformers wrote says how states are pooled, whether vectors have length 1 and which prompt
stands before a text, and that is done. Of other models it is the mean of the last layer's states, of decoders the last
state, neither scaled. Nothing is cut: sentence-transformers cuts a text at its `max_seq_length`, here it is read up to
what the model has positions for.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch.nn import functional

from tunekit.errors import TOO_LONG, InvalidError, ModelError
from tunekit.training.models.classifier import text_ids
from tunekit.training.models.load import LoadedModel
from tunekit.training.plan.device import Device
from tunekit.training.probe.features import Features
from tunekit.training.probe.probed import ProbedModel
from tunekit.training.serving import sentence_files
from tunekit.training.serving.numbers import require_numbers


@dataclass(frozen=True, slots=True, kw_only=True)
class Embedder:
    """A loaded model that makes vectors.

    Attributes:
        loaded: The model.
        features: Its states, pooled.
        normalises: Whether vectors are scaled to length 1.
        prompt: What is written before every text.
    """

    loaded: LoadedModel
    features: Features
    normalises: bool
    prompt: str = ""

    @classmethod
    def of(cls, loaded: LoadedModel, source: str) -> Embedder:
        """Find out how this model makes vectors. Of a probe it is the frozen model that does.

        Args:
            loaded: The model.
            source: Where it was loaded from; a tuned model follows what is said beside it, or by its base.

        Raises:
            ModelError: Its directory asks for something that is not done here.
        """
        card = loaded.card
        told = (
            sentence_files.read_tuned(source, card.base_model, card.revision)
            if card
            else sentence_files.read(source)
        )
        if told.foreign:
            raise ModelError(
                f"vectors of {source!r} are to go through {', '.join(told.foreign)}, which tunekit does not do",
                hint="pooling by mean, cls or last token and scaling to length 1 are done; use another model",
            )
        model = loaded.model.features.model if isinstance(loaded.model, ProbedModel) else loaded.model
        device = Device(name=str(model.device), frozen_dtype=model.dtype, compute_dtype=None)
        features = Features.of(model, device, pooling=told.pooling or "auto", longest=loaded.max_length)
        return cls(loaded=loaded, features=features, normalises=told.normalises, prompt=told.prompt)

    def __call__(self, requests: Sequence[Mapping[str, Any]]) -> list[list[float]]:
        """The vector of each request's text, in order.

        Args:
            requests: Each with `prompt`, the text as it is.

        Raises:
            InvalidError: A text is empty or too long; the message says which.
            ModelError: The model computes NaN.
        """
        texts = [self._ids(request["prompt"], place) for place, request in enumerate(requests)]
        vectors = torch.empty(len(texts), self.features.width)
        for cut in self._passes(texts):
            vectors[cut] = self.features([texts[place] for place in cut])[:, 0].cpu()
        require_numbers(vectors)
        if self.normalises:
            vectors = functional.normalize(vectors, dim=1)
        return vectors.tolist()

    def _passes(self, texts: Sequence[Sequence[int]]) -> Iterator[list[int]]:
        """Places of texts of similar length, a bounded number of tokens at a time."""
        cut: list[int] = []
        for place in sorted(range(len(texts)), key=lambda place: -len(texts[place])):
            if cut and (len(cut) + 1) * len(texts[cut[0]]) > self.features.tokens_per_pass:
                yield cut
                cut = []
            cut.append(place)
        if cut:
            yield cut

    def _ids(self, text: str, place: int) -> tuple[int, ...]:
        try:
            ids = text_ids(self.loaded.template, self.prompt + text, self.features.family)
        except InvalidError as error:
            raise InvalidError(f"text {place}: {error.message}", hint=error.hint) from error
        if len(ids) > self.loaded.max_length:
            raise InvalidError(
                f"text {place} has {len(ids)} tokens, more than the {self.loaded.max_length} that this model reads",
                hint="shorten the text; nothing is cut silently",
                details={"code": TOO_LONG, "tokens": len(ids), "max_length": self.loaded.max_length},
            )
        return ids
