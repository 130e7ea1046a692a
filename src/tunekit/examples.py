"""The example kinds: what one row of training or test data can be. Knows no files and no tokens.

Five kinds cover what fine-tuning methods need: a chat, a prompt with its completion, a preference, a prompt to be
graded, and a labelled text. All are frozen dataclasses, cheap enough for millions of rows.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, ClassVar, Literal, TypeAlias

Role = Literal["system", "developer", "user", "assistant", "tool"]
ROLES: tuple[str, ...] = ("system", "developer", "user", "assistant", "tool")


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolCall:
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One turn of a chat.

    Attributes:
        role: Who speaks: system, developer, user, assistant or tool.
        content: What was said; None for an assistant turn that only calls tools.
        name: Optional name of the speaker.
        weight: How much an assistant turn counts in the loss; 1.0 unless told, 0.0 leaves it out.
        tool_calls: Calls that an assistant turn makes.
        tool_call_id: On a tool turn, the call that it answers.

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


@dataclass(frozen=True, slots=True, kw_only=True)
class _Row:
    """What every example carries beside its content.

    Attributes:
        id: Stable row id, such as `"tickets.csv:12"`. Not part of equality or of the fingerprint.
        meta: Columns that are neither input nor target, for grouping and slicing.
    """

    kind: ClassVar[str]
    id: str = field(default="", compare=False)
    meta: Mapping[str, Any] = field(default_factory=dict, compare=False, hash=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatExample(_Row):
    """A whole conversation; the assistant turns are what the model learns.

    Examples:
        >>> chat = ChatExample(messages=(Message(role="user", content="2+2?"),
        ...                              Message(role="assistant", content="4")))
        >>> chat.kind
        'chat'
    """

    kind: ClassVar[str] = "chat"
    messages: tuple[Message, ...]
    tools: tuple[Mapping[str, Any], ...] = field(default=(), hash=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class CompletionExample(_Row):
    """A prompt and the completion that should follow it. An empty prompt makes it raw text.

    Examples:
        >>> CompletionExample(prompt="My parcel is late", completion="delivery").kind
        'completion'
    """

    kind: ClassVar[str] = "completion"
    prompt: str
    completion: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PreferenceExample(_Row):
    """A conversation with one better and one worse answer (DPO and its kin).

    Examples:
        >>> PreferenceExample(messages=(Message(role="user", content="2+2?"),),
        ...                   chosen="4", rejected="5").kind
        'preference'
    """

    kind: ClassVar[str] = "preference"
    messages: tuple[Message, ...]
    chosen: str
    rejected: str
    tools: tuple[Mapping[str, Any], ...] = field(default=(), hash=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class PromptExample(_Row):
    """A conversation that ends with the user; graders score the model's answers against `reference` (RFT).

    Examples:
        >>> PromptExample(messages=(Message(role="user", content="2+2?"),),
        ...               reference={"answer": "4"}).kind
        'prompt'
    """

    kind: ClassVar[str] = "prompt"
    messages: tuple[Message, ...]
    reference: Mapping[str, Any] = field(default_factory=dict, hash=False)
    tools: tuple[Mapping[str, Any], ...] = field(default=(), hash=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelledExample(_Row):
    """A text and its class, or its classes for multi-label data.

    Examples:
        >>> LabelledExample(text="My parcel is late", label="delivery").kind
        'labelled'
    """

    kind: ClassVar[str] = "labelled"
    text: str
    label: str | tuple[str, ...]


Example: TypeAlias = ChatExample | CompletionExample | PreferenceExample | PromptExample | LabelledExample

EXAMPLE_KINDS: Mapping[str, type[Example]] = {
    cls.kind: cls
    for cls in (ChatExample, CompletionExample, PreferenceExample, PromptExample, LabelledExample)
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
    for item in fields(example):
        value = getattr(example, item.name)
        if item.name in ("id", "meta"):
            if with_row and value:
                body[item.name] = dict(value) if item.name == "meta" else value
        elif item.name == "messages":
            body["messages"] = [message_to_dict(message) for message in value]
        elif item.name == "tools":
            if value:
                body["tools"] = [dict(tool) for tool in value]
        else:
            body[item.name] = list(value) if isinstance(value, tuple) else value
    return body


def message_to_dict(message: Message) -> dict[str, Any]:
    """One message in OpenAI's chat shape, without the fields that are at their defaults."""
    body: dict[str, Any] = {"role": message.role, "content": message.content}
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
    return Message(
        role=body["role"],
        content=body.get("content"),
        name=body.get("name"),
        weight=body.get("weight", 1.0),
        tool_calls=calls,
        tool_call_id=body.get("tool_call_id"),
    )


def from_dict(body: Mapping[str, Any]) -> Example:
    """The inverse of `to_dict`; it trusts its input (readers validate, this does not)."""
    values = dict(body)
    cls: Any = EXAMPLE_KINDS[values.pop("kind")]
    if "messages" in values:
        values["messages"] = tuple(message_from_dict(message) for message in values["messages"])
    for name in ("tools", "label"):
        if isinstance(values.get(name), list):
            values[name] = tuple(values[name])
    example: Example = cls(**values)
    return example
