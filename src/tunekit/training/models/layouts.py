"""Rows as tensors for a decoder: padded, or end to end without padding. Knows positions; not what the loss is.

Padding stands on the right, out of sight of every real token, so a causal model needs no mask. End to end, a prompt
stands once, before all of its answers; pieces say who sees whom, and `attention` keeps to that.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import torch

from tunekit.training.texts.rows import Answers, Tokens


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """Tokens that see each other, each what stands before it, and a span further up: their prompt.

    Attributes:
        start: First token.
        stop: Behind the last token.
        seen: Start and stop of the prompt; equal where there is none.
    """

    start: int
    stop: int
    seen: tuple[int, int] = (0, 0)

    @property
    def position(self) -> int:
        """Of its first token in the text: the tokens of its prompt."""
        return self.seen[1] - self.seen[0]


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """Rows laid out for one forward pass.

    Attributes:
        ids: Token ids, int64, shape (texts, length), or (1, tokens) end to end.
        keep: Positions whose logits predict a target, bool, same shape.
        kept: For each target its place among the kept positions in row-major order, int64, shape (targets,). Answers
            that share a prompt are all predicted from its last position, so a place may occur more than once, or
            behind places that come later.
        in_order: Whether `kept` is 0, 1, 2, ..., as it is where no prompt is shared, and need not be looked up.
        targets: Token ids to be predicted, int64, shape (targets,).
        weights: What each of them counts, fp32, shape (targets,).
        answers: The answer each of them belongs to, counted through the batch, int64, shape (targets,).
        count: Answers in the batch.
        pieces: Who sees whom, if the rows lie end to end; else empty.
    """

    ids: torch.Tensor
    keep: torch.Tensor
    kept: torch.Tensor
    in_order: bool
    targets: torch.Tensor
    weights: torch.Tensor
    answers: torch.Tensor
    count: int
    pieces: tuple[Piece, ...] = ()

    def to(self, device: str) -> Batch:
        """The same batch on another device."""
        tensors = ("ids", "keep", "kept", "targets", "weights", "answers")
        return replace(self, **{name: getattr(self, name).to(device, non_blocking=True) for name in tensors})


@dataclass(frozen=True, slots=True)
class _Place:
    """Where an answer lies among all positions: its first token, and the one that predicts that."""

    start: int
    before: int
    answer: Tokens


def padded(rows: Sequence[Answers], *, pad_id: int, multiple: int = 1) -> Batch:
    """One text per answer, its prompt included, padded on the right to a multiple of `multiple` tokens."""
    width = -(-max(row.longest for row in rows) // multiple) * multiple
    texts = [(row.prompt, answer) for row in rows for answer in row.answers]
    ids = torch.full((len(texts), width), pad_id, dtype=torch.int64)
    places = []
    for at, (prompt, answer) in enumerate(texts):
        length = len(prompt) + len(answer.ids)
        ids[at, :length] = torch.tensor(prompt + answer.ids, dtype=torch.int64)
        start = at * width + len(prompt)
        places.append(_Place(start, start - 1, answer))
    return _batch(ids, places)


def end_to_end(rows: Sequence[Answers]) -> Batch:
    """All rows behind each other, each prompt once before its answers, for attention that keeps them apart."""
    ids: list[int] = []
    pieces: list[Piece] = []
    places: list[_Place] = []
    for row in rows:
        prompt = (len(ids), len(ids) + len(row.prompt))
        if row.prompt:
            pieces.append(Piece(start=prompt[0], stop=prompt[1]))
            ids += row.prompt
        for answer in row.answers:
            pieces.append(Piece(start=len(ids), stop=len(ids) + len(answer.ids), seen=prompt))
            places.append(_Place(len(ids), prompt[1] - 1, answer))
            ids += answer.ids
    return replace(_batch(torch.tensor([ids], dtype=torch.int64), places), pieces=tuple(pieces))


def positions(pieces: Iterable[Piece]) -> torch.Tensor:
    """Position of every token in its own text, int64, shape (1, tokens)."""
    spans = [torch.arange(each.position, each.position + each.stop - each.start) for each in pieces]
    return torch.cat(spans)[None]


def _batch(ids: torch.Tensor, places: Sequence[_Place]) -> Batch:
    weights = torch.tensor(
        [weight for place in places for weight in place.answer.weights], dtype=torch.float32
    )
    learned = weights.nonzero()[:, 0]
    sources = torch.cat([_sources(place) for place in places])[learned]
    targets = torch.tensor([token for place in places for token in place.answer.ids], dtype=torch.int64)
    answers = torch.arange(len(places)).repeat_interleave(
        torch.tensor([len(place.answer.ids) for place in places])
    )
    keep = torch.zeros(ids.numel(), dtype=torch.bool)
    keep[sources] = True
    kept = (keep.cumsum(0) - 1)[sources]
    return Batch(
        ids=ids,
        keep=keep.view(ids.shape),
        kept=kept,
        in_order=torch.equal(kept, torch.arange(len(kept))),
        targets=targets[learned],
        weights=weights[learned],
        answers=answers[learned],
        count=len(places),
    )


def _sources(place: _Place) -> torch.Tensor:
    """The positions that predict an answer's tokens."""
    found = torch.arange(place.start - 1, place.start - 1 + len(place.answer.ids))
    found[0] = place.before
    return found
