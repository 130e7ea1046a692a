"""gpt-oss's channels: what the assistant thought and what it said, as two messages, become one. Knows no other dialect.

OpenAI's harmony format has three channels: `analysis` is thought, `final` is the answer, `commentary` is what is said
around calls of tools. A thought right before the answer that it led to has a place in a chat; the rest is refused.
"""

from __future__ import annotations

from typing import Any

from tunekit.data.messages import WEIGHTS
from tunekit.data.shapes.remarks import Remark
from tunekit.data.wording import listed
from tunekit.errors import DataError

_CHANNELS = ("analysis", "commentary", "final")
_THOUGHTS = ("reasoning_content", "reasoning", "thinking")
_NOT_FOLLOWED = "thinks, and no answer on the channel 'final' follows"


def joined(turns: list[Any], field: str, remarks: list[Remark]) -> list[Any]:
    """The messages without channels; the same list where none has one.

    Raises:
        DataError: A message of the assistant is on a channel that has no place in a chat.

    Examples:
        >>> said = [{"role": "assistant", "channel": "analysis", "content": "Add."},
        ...         {"role": "assistant", "channel": "final", "content": "4"}]
        >>> joined(said, "messages", [])
        [{'role': 'assistant', 'content': '4', 'reasoning_content': 'Add.'}]
    """
    if not any(map(_channel, turns)):
        return turns
    made: list[Any] = []
    thought: dict[str, Any] | None = None
    for index, turn in enumerate(turns):
        where, channel = f"{field}[{index}]", _channel(turn)
        if thought is not None and channel in (None, "analysis"):
            raise _refused(_NOT_FOLLOWED, f"{field}[{index - 1}]")
        if channel == "analysis":
            thought = turn
            continue
        made.append(turn if channel is None else _answer(turn, thought, where))
        if channel is not None:
            said = (
                "the channel 'analysis' as reasoning" if thought else f"the channel {channel!r} as the answer"
            )
            remarks.append(Remark("other-spellings", said, f"{where}.channel"))
        thought = None
    if thought is not None:
        raise _refused(_NOT_FOLLOWED, f"{field}[{len(turns) - 1}]")
    return made


def _channel(turn: Any) -> str | None:
    """The channel of a message of the assistant, if it is one of harmony's."""
    if not isinstance(turn, dict) or turn.get("role") != "assistant":
        return None
    channel = turn.get("channel")
    return channel if isinstance(channel, str) and channel in _CHANNELS else None


def _answer(turn: dict[str, Any], thought: dict[str, Any] | None, field: str) -> dict[str, Any]:
    if turn["channel"] == "commentary" and not turn.get("tool_calls"):
        raise _refused("is on the channel 'commentary' and makes no call that can be read", field)
    answer = {key: value for key, value in turn.items() if key != "channel"}
    if thought is None:
        return answer
    if any(answer.get(key) for key in _THOUGHTS):
        raise _refused("has a thought of its own, and another before it", field)
    differing = [key for key in WEIGHTS if thought.get(key) != turn.get(key)]
    if differing:
        raise _refused(f"and the thought before it differ in {listed(differing)}", field)
    beside = [key for key in thought if thought[key] and key not in ("role", "content", "channel", *WEIGHTS)]
    said = _text(thought.get("content"))
    if said is None or beside:
        raise _refused("follows a thought that is more than a text", field)
    return {**answer, "reasoning_content": said}


def _text(content: Any) -> str | None:
    """A text, or the text of one part, as openai-harmony writes messages."""
    if isinstance(content, list) and len(content) == 1 and isinstance(content[0], dict):
        content = content[0].get("text")
    return content if isinstance(content, str) else None


def _refused(says: str, field: str) -> DataError:
    return DataError(
        f"a message of the assistant {says}",
        field=f"{field}.channel",
        hint='write a thought as "reasoning_content" of the message that it led to, a call as "tool_calls"',
    )
