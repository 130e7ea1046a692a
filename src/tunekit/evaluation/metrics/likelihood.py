"""Perplexity and bits per byte. Knows summed log-probabilities, tokens and bytes; not tokenizers."""

from __future__ import annotations

import math

from tunekit.errors import EvaluationError
from tunekit.evaluation.metrics.counts import ITEMS, Counts, read

_NATS, _TOKENS, _BYTES = "nats", "tokens", "bytes"


def counts_of(log_prob: float, tokens: int, text: str) -> dict[str, float]:
    """Counts of one text.

    Args:
        log_prob: Natural logarithm of its probability, summed over its tokens; 0 or less.
        tokens: How many tokens that is the sum over.
        text: What they spell, for its UTF-8 bytes.

    Raises:
        EvaluationError: The log-probability is not finite or above 0, or there is no token.

    Examples:
        >>> counts_of(-6.5, 3, "Grüße")
        {'items': 1.0, 'nats': 6.5, 'tokens': 3.0, 'bytes': 7.0}
    """
    if not -math.inf < log_prob <= 0.0 or tokens < 1:
        raise EvaluationError(
            f"no text has a log-probability of {log_prob!r} over {tokens!r} tokens",
            hint="pass the sum of the log-probabilities of at least one token",
        )
    n_bytes = float(len(text.encode("utf-8", "surrogatepass")))
    return {ITEMS: 1.0, _NATS: -log_prob, _TOKENS: float(tokens), _BYTES: n_bytes}


def token_perplexity(counts: Counts) -> float:
    """Perplexity per token. Lower is better; comparable only between models of one tokenizer."""
    return _exp(counts.get(_NATS, 0.0) / read(counts, _TOKENS))


def byte_perplexity(counts: Counts) -> float:
    """Perplexity per byte of UTF-8. Lower is better; comparable whatever the tokenizers."""
    return _exp(counts.get(_NATS, 0.0) / read(counts, _BYTES))


def bits_per_byte(counts: Counts) -> float:
    """Bits that the model needs for one byte of text, which is the logarithm of `byte_perplexity`. Lower is better."""
    return counts.get(_NATS, 0.0) / read(counts, _BYTES) / math.log(2.0)


def _exp(nats: float) -> float:
    """Infinite where a float cannot hold it."""
    try:
        return math.exp(nats)
    except OverflowError:
        return math.inf
