"""What the product saw, as training data. Knows the example kinds; reads nothing.

Every row has the turn's digest in its id, and in its meta what the host gave with the turn, beside `model`, `user` (a
pseudonym) and `recorded_at`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import Any

from tunekit._canonical import fingerprint
from tunekit.examples import (
    ChatExample,
    CompletionExample,
    Example,
    Message,
    PreferenceExample,
    PromptExample,
    UnpairedExample,
    message_to_dict,
)
from tunekit.retrain.collecting.joining import Answered
from tunekit.retrain.collecting.records import Said, as_turns

OURS = ("model", "user", "recorded_at")
"""Meta columns that hosts may not give."""


def corrected(name: str, answered: Iterable[Answered], *, thumbs_up: bool) -> Iterator[Example]:
    """What should have been answered; where asked for, also what was and somebody liked."""
    for each in answered:
        if each.correction is not None:
            yield _taught(name, each, each.correction)
        elif thumbs_up and each.thumb == "up":
            yield _taught(name, each, each.turn.answer)


def preferred(name: str, answered: Iterable[Answered]) -> Iterator[Example]:
    """The correction before the answer; and of answers to one question a liked one before each disliked one."""
    by_prompt: dict[str, list[Answered]] = {}
    for each in answered:
        if each.correction is not None and each.correction != each.turn.answer:
            yield _pair(name, each, each.correction, each.turn.answer)
        by_prompt.setdefault(_asked(each), []).append(each)
    for same in by_prompt.values():
        liked = [each.turn.answer for each in same if each.thumb == "up"]
        disliked = {_key(each.turn.answer): each for each in same if each.thumb == "down"}
        for each in disliked.values():
            # The last word on an answer that was liked and disliked is nobody's to say here.
            if liked and each.turn.answer not in liked:
                yield _pair(name, each, liked[-1], each.turn.answer)


def judged(name: str, answered: Iterable[Answered]) -> Iterator[Example]:
    """Answers with a thumb."""
    for each in answered:
        if each.thumb is not None:
            yield UnpairedExample(
                **_row(name, each),
                messages=as_turns(each.turn.prompt),
                completion=each.turn.answer,
                desirable=each.thumb == "up",
                tools=each.turn.tools,
            )


def referenced(name: str, answered: Iterable[Answered]) -> Iterator[Example]:
    """Questions with what came of them."""
    for each in answered:
        if each.outcome is not None:
            yield PromptExample(
                **_row(name, each),
                messages=as_turns(each.turn.prompt),
                reference=dict(each.outcome),
                tools=each.turn.tools,
            )


def _taught(name: str, each: Answered, answer: Said) -> Example:
    prompt = each.turn.prompt
    if isinstance(prompt, str) and isinstance(answer, str):
        return CompletionExample(**_row(name, each), prompt=prompt, completion=answer)
    said = (Message(role="assistant", content=answer),) if isinstance(answer, str) else answer
    return ChatExample(**_row(name, each), messages=(*as_turns(prompt), *said), tools=each.turn.tools)


def _pair(name: str, each: Answered, better: Said, worse: Said) -> Example:
    return PreferenceExample(
        **_row(name, each),
        messages=as_turns(each.turn.prompt),
        chosen=better,
        rejected=worse,
        tools=each.turn.tools,
    )


def _row(name: str, each: Answered) -> dict[str, Any]:
    turn = each.turn
    meta = {**turn.meta, "recorded_at": datetime.fromtimestamp(turn.at, UTC).isoformat(timespec="seconds")}
    if turn.model:
        meta["model"] = turn.model
    if turn.user:
        meta["user"] = turn.user
    return {"id": f"{name}:{turn.id}", "meta": meta}


def _asked(each: Answered) -> str:
    return _key((*as_turns(each.turn.prompt),))


def _key(said: Said) -> str:
    return fingerprint(said if isinstance(said, str) else [message_to_dict(turn) for turn in said])
