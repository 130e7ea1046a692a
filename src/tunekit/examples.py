"""The example kinds: what one row of training or test data can be. Knows no files and no tokens.

Seven kinds cover what fine-tuning methods need: a chat, a prompt with its completion, a preference, an answer with a
verdict, a prompt to be graded, a labelled text, and a text in segments of which some are learned. All are frozen
msgspec structs: as cheap as tuples, and decoded straight from JSON by the readers.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal, Self, TypeAlias

import msgspec

Role = Literal["system", "developer", "user", "assistant", "tool"]
ROLES: tuple[str, ...] = ("system", "developer", "user", "assistant", "tool")


class _Value(
    msgspec.Struct, frozen=True, kw_only=True, gc=False, repr_omit_defaults=True, forbid_unknown_fields=True
):
    # gc=False: values are trees, never cycles, and the collector would walk millions of them.

    def replace(self, **changes: Any) -> Self:
        """A copy in which the named fields have other values.

        Raises:
            TypeError: There is no such field.
        """
        return msgspec.structs.replace(self, **changes)


class ToolCall(_Value, frozen=True, kw_only=True):
    """A function that the assistant asks to be called.

    Attributes:
        id: Links the call to the tool message that answers it.
        name: Name of the function.
        arguments: Its arguments as a JSON text, kept exactly as written.

    Examples:
        >>> ToolCall(id="call_1", name="lookup", arguments='{"order": 7}').name
        'lookup'
    """

    id: str
    name: str
    arguments: str


class Message(_Value, frozen=True, kw_only=True):
    """One turn of a chat.

    Attributes:
        role: Who speaks: system, developer, user, assistant or tool.
        content: What was said, as text; None for an assistant turn that only calls tools.
        name: Optional name of the speaker.
        weight: How much an assistant turn counts in the loss; 1.0 unless told, 0.0 leaves it out.
        tool_calls: Calls that an assistant turn makes.
        tool_call_id: On a tool turn, the call that it answers.
        parts: The content in OpenAI's typed parts (`{"type": "text" | "image_url" | ...}`), where it was written in
            parts. `content` is then the text of the text parts, joined.
        reasoning: What the assistant thought before it answered.

    Examples:
        >>> Message(role="user", content="Hello").role
        'user'
    """

    role: Role
    content: str | None = None
    name: str | None = None
    weight: float = 1.0
    tool_calls: tuple[ToolCall, ...] = ()
    tool_call_id: str | None = None
    parts: tuple[Mapping[str, Any], ...] = ()
    reasoning: str | None = None

    def __hash__(self) -> int:
        return hash((self.role, self.content, self.name, self.weight, self.tool_calls, self.tool_call_id))


class Segment(_Value, frozen=True, kw_only=True):
    """A stretch of text that is learned, or only read.

    Examples:
        >>> Segment(text="4", learn=True).learn
        True
    """

    text: str
    learn: bool


class _Row(_Value, frozen=True, kw_only=True, eq=False):
    """What every example carries beside its content.

    Attributes:
        id: Stable row id, such as `"tickets.csv:12"`. Not part of equality or of the fingerprint.
        meta: Columns that are neither input nor target, for grouping and slicing. Not part of equality either.
    """

    kind: ClassVar[str]
    id: str = ""
    meta: Mapping[str, Any] = {}

    def __eq__(self, other: object) -> bool:
        if type(other) is not type(self):
            return NotImplemented
        return all(getattr(self, name) == getattr(other, name) for name in self.__struct_fields__[2:])

    def __hash__(self) -> int:
        content = (getattr(self, name) for name in self.__struct_fields__[2:] if name not in _UNHASHABLE)
        return hash((type(self), *content))


_UNHASHABLE = frozenset({"tools", "reference"})


class ChatExample(_Row, frozen=True, kw_only=True, eq=False):
    """A whole conversation; the assistant turns are what the model learns.

    Examples:
        >>> chat = ChatExample(messages=(Message(role="user", content="2+2?"),
        ...                              Message(role="assistant", content="4")))
        >>> chat.kind
        'chat'
    """

    kind: ClassVar[str] = "chat"
    messages: tuple[Message, ...]
    tools: tuple[Mapping[str, Any], ...] = ()


class CompletionExample(_Row, frozen=True, kw_only=True, eq=False):
    """A prompt and the completion that should follow it. An empty prompt makes it raw text.

    Examples:
        >>> CompletionExample(prompt="My parcel is late", completion="delivery").kind
        'completion'
    """

    kind: ClassVar[str] = "completion"
    prompt: str
    completion: str


class PreferenceExample(_Row, frozen=True, kw_only=True, eq=False):
    """A conversation with one better and one worse answer (DPO and its kin).

    Attributes:
        messages: The conversation up to the answer.
        chosen: The better answer: a text, or turns where it is more than one plain assistant turn.
        rejected: The worse one, likewise.
        tools: Tools that the answers may call.

    Examples:
        >>> PreferenceExample(messages=(Message(role="user", content="2+2?"),),
        ...                   chosen="4", rejected="5").kind
        'preference'
    """

    kind: ClassVar[str] = "preference"
    messages: tuple[Message, ...]
    chosen: str | tuple[Message, ...]
    rejected: str | tuple[Message, ...]
    tools: tuple[Mapping[str, Any], ...] = ()


class UnpairedExample(_Row, frozen=True, kw_only=True, eq=False):
    """A conversation, one answer to it, and whether that answer was good (KTO and its kin).

    Examples:
        >>> UnpairedExample(messages=(Message(role="user", content="2+2?"),),
        ...                 completion="5", desirable=False).kind
        'unpaired'
    """

    kind: ClassVar[str] = "unpaired"
    messages: tuple[Message, ...]
    completion: str | tuple[Message, ...]
    desirable: bool
    tools: tuple[Mapping[str, Any], ...] = ()


class PromptExample(_Row, frozen=True, kw_only=True, eq=False):
    """A conversation that ends with the user; graders score the model's answers against `reference` (RFT).

    Examples:
        >>> PromptExample(messages=(Message(role="user", content="2+2?"),),
        ...               reference={"answer": "4"}).kind
        'prompt'
    """

    kind: ClassVar[str] = "prompt"
    messages: tuple[Message, ...]
    reference: Mapping[str, Any] = {}
    tools: tuple[Mapping[str, Any], ...] = ()


class LabelledExample(_Row, frozen=True, kw_only=True, eq=False):
    """A text and its class, or its classes for multi-label data.

    Examples:
        >>> LabelledExample(text="My parcel is late", label="delivery").kind
        'labelled'
    """

    kind: ClassVar[str] = "labelled"
    text: str
    label: str | tuple[str, ...]


class SegmentsExample(_Row, frozen=True, kw_only=True, eq=False):
    """A text in segments, each either learned or only read: a training mask without any template.

    Examples:
        >>> SegmentsExample(segments=(Segment(text="2+2=", learn=False), Segment(text="4", learn=True))).kind
        'segments'
    """

    kind: ClassVar[str] = "segments"
    segments: tuple[Segment, ...]


Example: TypeAlias = (
    ChatExample
    | CompletionExample
    | PreferenceExample
    | UnpairedExample
    | PromptExample
    | LabelledExample
    | SegmentsExample
)

EXAMPLE_KINDS: Mapping[str, type[Example]] = {
    cls.kind: cls
    for cls in (
        ChatExample,
        CompletionExample,
        PreferenceExample,
        UnpairedExample,
        PromptExample,
        LabelledExample,
        SegmentsExample,
    )
}


def to_dict(example: Example, *, with_row: bool = True) -> dict[str, Any]:
    """A JSON-ready dictionary that `from_dict` turns back into an equal example.

    Args:
        example: Any example.
        with_row: Keep the row id and the meta columns; the fingerprint leaves them out.

    Examples:
        >>> to_dict(CompletionExample(prompt="a", completion="b"))
        {'kind': 'completion', 'prompt': 'a', 'completion': 'b'}
    """
    body: dict[str, Any] = {"kind": example.kind}
    for name in example.__struct_fields__:
        value = getattr(example, name)
        if name in ("id", "meta"):
            if with_row and value:
                body[name] = dict(value) if name == "meta" else value
        elif name == "tools":
            if value:
                body["tools"] = [dict(tool) for tool in value]
        else:
            body[name] = _plain(value)
    return body


def _plain(value: Any) -> Any:
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    if isinstance(value, Message):
        return message_to_dict(value)
    if isinstance(value, Segment):
        return {"text": value.text, "learn": value.learn}
    return value


def message_to_dict(message: Message) -> dict[str, Any]:
    """One message in OpenAI's chat shape, without the fields that are at their defaults."""
    content: Any = [dict(part) for part in message.parts] if message.parts else message.content
    body: dict[str, Any] = {"role": message.role, "content": content}
    if message.reasoning is not None:
        body["reasoning_content"] = message.reasoning  # the key that chat templates and DeepSeek's API read
    if message.name is not None:
        body["name"] = message.name
    if message.weight != 1.0:
        body["weight"] = message.weight
    if message.tool_calls:
        body["tool_calls"] = [
            {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}}
            for call in message.tool_calls
        ]
    if message.tool_call_id is not None:
        body["tool_call_id"] = message.tool_call_id
    return body


def message_from_dict(body: Mapping[str, Any]) -> Message:
    """The inverse of `message_to_dict`; it trusts its input (readers validate, this does not)."""
    calls = tuple(
        ToolCall(
            id=call.get("id", ""), name=call["function"]["name"], arguments=call["function"]["arguments"]
        )
        for call in body.get("tool_calls") or ()
    )
    content = body.get("content")
    parts = tuple(content) if isinstance(content, list) else ()
    return Message(
        role=body["role"],
        content=text_of(parts) if parts else content,
        name=body.get("name"),
        weight=body.get("weight", 1.0),
        tool_calls=calls,
        tool_call_id=body.get("tool_call_id"),
        parts=parts,
        reasoning=body.get("reasoning_content"),
    )


def text_of(parts: tuple[Mapping[str, Any], ...]) -> str:
    """The text of the text parts, joined: what `Message.content` holds beside `Message.parts`."""
    return "".join(part.get("text", "") for part in parts if part.get("type") == "text")


def from_dict(body: Mapping[str, Any]) -> Example:
    """The inverse of `to_dict`; it trusts its input (readers validate, this does not)."""
    values = dict(body)
    cls: Any = EXAMPLE_KINDS[values.pop("kind")]
    for name in ("messages", "chosen", "rejected", "completion"):
        if isinstance(values.get(name), list):
            values[name] = tuple(message_from_dict(message) for message in values[name])
    if "segments" in values:
        values["segments"] = tuple(Segment(**segment) for segment in values["segments"])
    for name in ("tools", "label"):
        if isinstance(values.get(name), list):
            values[name] = tuple(values[name])
    example: Example = cls(**values)
    return example
