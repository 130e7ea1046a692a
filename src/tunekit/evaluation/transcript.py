"""A prompt as text for a person, or for a judge. Knows turns of chats; asks nobody."""

from __future__ import annotations

from tunekit.backends.base import Prompt
from tunekit.examples import Message


def transcript(prompt: Prompt) -> str:
    """What was asked: a plain text as it is, a chat with the role before each turn and an empty line between.

    Examples:
        >>> print(transcript((Message(role="system", content="Be brief."), Message(role="user", content="Hi"))))
        system: Be brief.
        <BLANKLINE>
        user: Hi
    """
    return prompt if isinstance(prompt, str) else "\n\n".join(map(_turn, prompt))


def _turn(message: Message) -> str:
    calls = [f"{call.name}({call.arguments})" for call in message.tool_calls]
    said = [message.content] if message.content is not None else []
    return f"{message.role}: " + "\n".join([*said, *calls])
