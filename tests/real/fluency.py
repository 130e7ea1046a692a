"""Whether a text is a story, in three numbers, any of which can be bad. Knows a model; not who wrote the text."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import torch


@dataclass(frozen=True, slots=True, kw_only=True)
class Fluency:
    """How much like a story a text is.

    Attributes:
        perplexity: Of its tokens, under a model that writes stories.
        known_words: Share of its words that other stories have.
        new_trigrams: Share of its runs of three words that it has not said before; small where it goes in circles.
    """

    perplexity: float
    known_words: float
    new_trigrams: float

    @property
    def is_story(self) -> bool:
        """Whether all are as in stories; the limits lie between those of stories and those of other texts."""
        return self.perplexity < 8 and self.known_words > 0.75 and self.new_trigrams > 0.6


def fluency(text: str, words: Collection[str], tokenizer: Any, model: Any) -> Fluency:
    """Measure a text.

    Args:
        text: Any.
        words: Those of other stories.
        tokenizer: Of the model.
        model: Writes stories, in transformers.
    """
    said = words_of(text)
    runs = list(zip(said, said[1:], said[2:], strict=False))
    return Fluency(
        perplexity=perplexity(text, tokenizer, model),
        known_words=sum(word in words for word in said) / max(1, len(said)),
        new_trigrams=len(set(runs)) / max(1, len(runs)),
    )


def words_of(text: str) -> list[str]:
    """Its words, in small letters; what stands between two spaces is one, be it letters or not."""
    return [re.sub(r"^\W+|\W+$", "", word).lower() or word for word in text.split()]


@torch.inference_mode()
def perplexity(text: str, tokenizer: Any, model: Any) -> float:
    """Of a text's tokens."""
    ids = tokenizer(text, return_tensors="pt")["input_ids"]
    return float(model(input_ids=ids, labels=ids).loss.exp())
