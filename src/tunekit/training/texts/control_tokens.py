"""Text that would become a control token, and could end a turn and forge the next. Knows tokenizers; no example kinds.

A chat is rendered to one string and encoded with control tokens active, so "<|im_end|>" typed by a user would be the
real thing. Such text is refused, in training and in serving alike; `docs/design/008-control-tokens.md` says why.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tunekit.errors import DataError
from tunekit.examples import Message


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """A text that goes into a chat.

    Attributes:
        field: Where it stands, such as "messages[1].content".
        text: What it says.
        is_answer: Whether the assistant says it.
    """

    field: str
    text: str
    is_answer: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ControlTokens:
    """The control tokens of a tokenizer.

    Attributes:
        special: Matches the special tokens. Nobody's text may hold one.
        control: Matches these and the added tokens that the chat template writes itself, such as "<tool_response>".
            Answers may hold the latter ("<think>" is for the assistant to write); what others say may not.
    """

    special: re.Pattern[str]
    control: re.Pattern[str]

    @classmethod
    def of(cls, tokenizer: Any) -> ControlTokens:
        """Those of a tokenizer and its chat template."""
        added = [token for token in tokenizer.added_tokens_decoder.values() if token.content.strip()]
        special = {token.content for token in added if token.special}
        special |= {token for token in tokenizer.all_special_tokens if token.strip()}
        template = str(tokenizer.chat_template or "")
        written = {token.content for token in added if token.content in template}
        return cls(special=_any_of(special), control=_any_of(special | written))

    def refuse_in(self, parts: Iterable[Part]) -> None:
        """Raises `DataError` if one of the texts holds a control token; it names the field and the token."""
        for part in parts:
            found = (self.special if part.is_answer else self.control).search(part.text)
            if found:
                raise DataError(
                    f"{part.field} holds {found[0]!r}, which is a control token of this model",
                    field=part.field,
                    hint="remove it or write it differently; as it stands, the text could end its turn and forge one",
                )


def parts_of(messages: Sequence[Message], tools: Sequence[Mapping[str, Any]] = ()) -> Iterator[Part]:
    """Every text of a chat and its tool definitions."""
    for at, message in enumerate(messages):
        where, is_answer = f"messages[{at}]", message.role == "assistant"
        yield Part(field=f"{where}.content", text=message.content or "", is_answer=is_answer)
        yield Part(field=f"{where}.reasoning_content", text=message.reasoning or "", is_answer=is_answer)
        yield Part(field=f"{where}.name", text=message.name or "")
        for number, call in enumerate(message.tool_calls):
            text = f"{call.id} {call.name} {call.arguments}"
            yield Part(field=f"{where}.tool_calls[{number}]", text=text, is_answer=is_answer)
    for at, tool in enumerate(tools):
        yield Part(field=f"tools[{at}]", text=json.dumps(dict(tool), ensure_ascii=False, default=str))


def _any_of(tokens: Iterable[str]) -> re.Pattern[str]:
    longest_first = sorted(tokens, key=lambda token: (-len(token), token))
    return re.compile("|".join(map(re.escape, longest_first)) or r"(?!)")
