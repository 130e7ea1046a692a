"""What `run.c` of llama2.c computes, written down once more in NumPy and plain loops, to hold a conversion against.

It reads the checkpoint in its own way and shares nothing with `stories260k`: pairs of neighbours are turned by the
cosines and sines in the file, and pieces are merged by trying every pair each time.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np


class Reference:
    """A checkpoint and what it says of texts.

    Args:
        path: A `.bin` of llama2.c's first version, with a tied head.
    """

    def __init__(self, path: Path) -> None:
        raw = path.read_bytes()
        self.dim, hidden, self.layers, self.heads, self.kv_heads, vocab, seq = struct.unpack("<7i", raw[:28])
        rest, count = np.frombuffer(raw[28:], dtype="<f4").astype(np.float64), self.layers
        head = self.dim // self.heads
        kv = head * self.kv_heads

        def take(*dims: int) -> Any:
            nonlocal rest
            size = int(np.prod(dims))
            taken, rest = rest[:size].reshape(dims), rest[size:]
            return taken

        self.embeddings, self.rms_att = take(vocab, self.dim), take(count, self.dim)
        self.wq, self.wk = take(count, self.dim, self.dim), take(count, kv, self.dim)
        self.wv, self.wo = take(count, kv, self.dim), take(count, self.dim, self.dim)
        self.rms_ffn, self.w1 = take(count, self.dim), take(count, hidden, self.dim)
        self.w2, self.w3 = take(count, self.dim, hidden), take(count, hidden, self.dim)
        self.rms_final = take(self.dim)
        self.cos, self.sin = take(seq, head // 2), take(seq, head // 2)

    def logits(self, ids: Sequence[int]) -> Any:
        """Of the token behind each, shape (tokens, vocabulary)."""
        x = self.embeddings[list(ids)]
        for layer in range(self.layers):
            x = x + self._attended(layer, _normed(x, self.rms_att[layer])) @ self.wo[layer].T
            seen = _normed(x, self.rms_ffn[layer])
            gate = seen @ self.w1[layer].T
            x = x + (gate / (1 + np.exp(-gate)) * (seen @ self.w3[layer].T)) @ self.w2[layer].T
        return _normed(x, self.rms_final) @ self.embeddings.T

    def _attended(self, layer: int, x: Any) -> Any:
        count, head = len(x), self.dim // self.heads
        q = self._turned((x @ self.wq[layer].T).reshape(count, self.heads, head))
        k = self._turned((x @ self.wk[layer].T).reshape(count, self.kv_heads, head))
        v = (x @ self.wv[layer].T).reshape(count, self.kv_heads, head)
        found = np.zeros_like(q)
        for at in range(count):
            for number in range(self.heads):
                shared = number // (self.heads // self.kv_heads)
                weights = np.exp(k[: at + 1, shared] @ q[at, number] / np.sqrt(head))
                found[at, number] = weights / weights.sum() @ v[: at + 1, shared]
        return found.reshape(count, self.dim)

    def _turned(self, x: Any) -> Any:
        cos, sin = self.cos[: len(x), None], self.sin[: len(x), None]
        even, odd = x[..., 0::2], x[..., 1::2]
        return np.stack([even * cos - odd * sin, even * sin + odd * cos], axis=-1).reshape(x.shape)


def _normed(x: Any, weight: Any) -> Any:
    return weight * x / np.sqrt((x * x).mean(axis=-1, keepdims=True) + 1e-5)


def encode(text: str, path: Path) -> list[int]:
    """The tokens that `run.c` makes of a text, without the one that begins it.

    Args:
        text: Any, but NUL, which ends a text in C.
        path: A tokenizer of llama2.c.
    """
    pieces = _pieces(path)
    ids, scores = {piece: at for at, (piece, _) in enumerate(pieces)}, [score for _, score in pieces]
    tokens = list[int]()
    for character in f" {text}" if text else "":
        said = character.encode()
        tokens += [ids[said]] if said in ids else [byte + 3 for byte in said]
    while True:
        made = [ids.get(pieces[one][0] + pieces[two][0]) for one, two in pairwise(tokens)]
        found = [(-scores[piece], at, piece) for at, piece in enumerate(made) if piece is not None]
        if not found:
            return tokens
        _, at, piece = min(found)  # the best; among equals the first
        tokens[at : at + 2] = [piece]


def _pieces(path: Path) -> list[tuple[bytes, float]]:
    with path.open("rb") as file:
        file.read(4)
        found = list[tuple[bytes, float]]()
        while header := file.read(8):
            score, size = struct.unpack("<fi", header)
            found.append((file.read(size), score))
    return found
