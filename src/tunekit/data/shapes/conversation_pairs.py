"""Two whole conversations that begin alike and end with a better and a worse answer. Knows no separate prompts.

TRL calls it the implicit prompt; Anthropic's HH data writes each conversation as one text; LLaMA-Factory's v1 calls the
two `chosen_messages` and `rejected_messages`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from tunekit.data import messages
from tunekit.data.shapes import answers, fields, prompts, transcripts
from tunekit.data.shapes.answers import Turns
from tunekit.data.shapes.base import Shape
from tunekit.data.shapes.preference import KINDS, preferred, with_tools
from tunekit.data.shapes.typed_parts import TYPED_PARTS
from tunekit.data.wording import shown
from tunekit.errors import DataError
from tunekit.examples import ChatExample, Example, PreferenceExample, message_to_dict


@dataclass(frozen=True, slots=True, kw_only=True)
class _Form:
    """How one of these shapes writes a conversation, and under which keys."""

    name: str
    says: str
    keys: tuple[str, str]
    is_conversation: Callable[[Any], bool]
    read: Callable[[Any, str], Turns]
    write: Callable[[Turns, str], Any]

    def recognises(self, record: Mapping[str, Any]) -> bool:
        return all(self.is_conversation(record.get(key)) for key in self.keys) and not prompts.has(record)

    def example(self, record: Mapping[str, Any], id: str) -> Example:
        chosen, rejected = (self.read(record.get(key), key) for key in self.keys)
        before, better, worse = answers.parted(chosen, rejected, self.keys[0])
        return PreferenceExample(
            messages=before,
            chosen=answers.checked(better, self.keys[0]),
            rejected=worse,
            tools=messages.tools(record.get("tools")),
            id=id,
            meta=fields.rest(record, {*self.keys, *prompts.empty_prompt(record), "tools"}),
        )

    def record(self, example: Example) -> dict[str, Any]:
        found = preferred(example, self.name)
        chosen, rejected = (found.messages + answers.turns(each) for each in (found.chosen, found.rejected))
        if answers.parted(chosen, rejected, "chosen") != (found.messages, found.chosen, found.rejected):
            raise DataError(
                "the two answers begin alike, so that whole conversations would not say where they begin",
                field="chosen",
                hint='write shape="preference", which has the prompt apart',
            )
        pair = zip(self.keys, (chosen, rejected), strict=True)
        body = {key: self.write(turns, key) for key, turns in pair}
        return fields.with_meta(body | with_tools(found.tools), found, ("tools", *prompts.KEYS))

    def shape(self) -> Shape:
        return Shape(
            name=self.name,
            says=self.says,
            kinds=KINDS,
            recognises=self.recognises,
            read=self.example,
            write=self.record,
        )


def _is_list(value: Any) -> bool:
    return isinstance(value, list) and len(value) > 1 and isinstance(value[0], dict)


def _is_transcript(value: Any) -> bool:
    return isinstance(value, str) and transcripts.parsed(value) is not None


def _of_transcript(value: Any, field: str) -> Turns:
    found = transcripts.parsed(value) if isinstance(value, str) else None
    if found is None:
        raise DataError(
            f"expected a transcript, found {shown(value)}",
            field=field,
            hint='write "\\n\\nHuman: ...\\n\\nAssistant: ..."',
        )
    return found


def _to_messages(turns: Turns, field: str) -> list[dict[str, Any]]:
    return [message_to_dict(turn) for turn in turns]


def _to_typed_parts(turns: Turns, field: str) -> Any:
    return TYPED_PARTS.write(ChatExample(messages=turns))["messages"]


IMPLICIT = _Form(
    name="implicit-preference",
    says="preferences: pairs of whole conversations",
    keys=("chosen", "rejected"),
    is_conversation=_is_list,
    read=answers.conversation,
    write=_to_messages,
).shape()
TRANSCRIPTS = _Form(
    name="transcripts",
    says="preferences: pairs of Human/Assistant transcripts",
    keys=("chosen", "rejected"),
    is_conversation=_is_transcript,
    read=_of_transcript,
    write=transcripts.written,
).shape()
CHOSEN_MESSAGES = _Form(
    name="chosen-messages",
    says="preferences: LLaMA-Factory's chosen_messages and rejected_messages",
    keys=("chosen_messages", "rejected_messages"),
    is_conversation=_is_list,
    read=answers.conversation,
    write=_to_typed_parts,
).shape()
