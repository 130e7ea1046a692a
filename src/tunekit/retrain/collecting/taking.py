"""What hosts hand over, checked, masked and made a row. Knows a call's arguments; no files.

Content is checked here and not in the signature: all that can be wrong with it is one error that `Collector` may count.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from tunekit.data.messages import answer as read_answer
from tunekit.data.patterns.sensitive import Finder
from tunekit.errors import SpecError
from tunekit.examples import Message, message_to_dict
from tunekit.inference import Turns, as_prompt
from tunekit.retrain.collecting.datasets import OURS
from tunekit.retrain.collecting.masking import Masked, masked
from tunekit.retrain.collecting.records import Feedback, Said, Thumb, Turn, digest, plain, tag

Answer: TypeAlias = str | Message | Mapping[str, Any]
"""What a model said: a text, or an assistant's message as `Message` or in OpenAI's shape."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Taking:
    """How rows are made of what hosts give. The fields are arguments of `Collector`."""

    redact: bool
    find_personal_data: Finder | None
    max_chars: int

    def turn(
        self,
        turn: str,
        prompt: str | Turns,
        answer: Answer,
        *,
        model: str,
        user: str,
        tools: Iterable[Mapping[str, Any]],
        meta: Mapping[str, Any] | None,
        at: float,
    ) -> Turn:
        """A turn's row.

        Raises:
            InvalidError: Something given cannot be kept.
        """
        given = plain(dict(meta or {}))
        if taken := sorted(set(OURS) & set(given)):
            raise SpecError(
                f"meta has {taken[0]!r}, which is ours", hint="give it another name, or model=, user="
            )
        offered = [plain(dict(tool)) for tool in tools]
        kept = self._masked((as_prompt(prompt), _said(answer)), [given, offered])
        return Turn(
            id=digest(turn),
            at=at,
            prompt=kept.said[0],
            answer=kept.said[1],
            tools=tuple(kept.values[1]),
            model=str(model),
            user=user,
            meta=kept.values[0],
            hidden=_tags(turn, kept),
        )

    def feedback(
        self,
        turn: str,
        *,
        thumb: Thumb | None,
        correction: Answer | None,
        outcome: Mapping[str, Any] | None,
        comment: str | None,
        at: float,
    ) -> Feedback:
        """A row of feedback.

        Raises:
            InvalidError: Something given cannot be kept, or nothing was given.
        """
        if thumb not in (None, "up", "down"):
            raise SpecError(f"thumb={thumb!r} is neither up nor down", hint='give "up", "down" or None')
        if thumb is None and correction is None and outcome is None and comment is None:
            raise SpecError("feedback says nothing", hint="give thumb=, correction=, outcome= or comment=")
        said = () if correction is None else (_said(correction),)
        wrote = () if comment is None else (str(comment),)
        kept = self._masked((*said, *wrote), None if outcome is None else plain(dict(outcome)))
        return Feedback(
            turn=digest(turn),
            at=at,
            thumb=thumb,
            correction=kept.said[0] if said else None,
            comment=str(kept.said[-1]) if wrote else None,
            outcome=kept.values,
            hidden=_tags(turn, kept),
        )

    def _masked(self, said: tuple[Said, ...], values: Any) -> Masked:
        return masked(
            said,
            values,
            redact=self.redact,
            find_personal_data=self.find_personal_data,
            max_chars=self.max_chars,
        )


def is_sampled(turn: str, share: float) -> bool:
    """Whether a turn is among the share that is kept."""
    if share >= 1.0:
        return True
    return int.from_bytes(hashlib.blake2b(turn.encode(), digest_size=8).digest()) < share * 2**64


def _tags(turn: str, kept: Masked) -> dict[str, str]:
    return {name: tag(turn, value) for name, value in kept.hidden.items()}


def _said(answer: Answer) -> Said:
    if isinstance(answer, Message):
        answer = message_to_dict(answer)
    return read_answer(dict(answer) if isinstance(answer, Mapping) else answer, "answer")
