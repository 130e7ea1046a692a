"""A model as a judge: what it is asked, and how its reply is read. Knows messages; no model, which the host injects."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import msgspec

from tunekit.data.wording import brief, listed, shown
from tunekit.graders.fields import Fields
from tunekit.graders.flags import Unreadable
from tunekit.graders.sample import Sample
from tunekit.graders.templates import Template, Variable

ROLES = ("system", "developer", "user", "assistant")
SAMPLING = ("seed", "top_p", "temperature", "max_completions_tokens", "reasoning_effort")
_TEXT_PARTS = ("text", "input_text", "output_text")


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgeRequest:
    """What a judge is asked.

    Attributes:
        model: Which model is to judge, as the grader's JSON has it.
        messages: `{"role", "content"}`, all variables filled in.
        sampling: How it is to answer, by the names of the JSON's `sampling_params`.
        schema: JSON schema of the reply.
    """

    model: str
    messages: tuple[Mapping[str, str], ...]
    sampling: Mapping[str, Any] = field(default_factory=dict)
    schema: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class JudgeReply:
    """What a judge said.

    Attributes:
        text: Its reply, JSON by the schema that was asked for.
        refusal: Its words, if it refused.
    """

    text: str = ""
    refusal: str | None = None


Judge: TypeAlias = Callable[[JudgeRequest], JudgeReply]
"""The host's model. Whatever it raises is a failure of the judge, and nobody's grade."""


@dataclass(frozen=True, slots=True)
class Prompt:
    """What a judge is shown.

    Attributes:
        turns: Roles and texts.
    """

    turns: tuple[tuple[str, Template], ...]

    @classmethod
    def read(cls, fields: Fields) -> Prompt:
        """From the field `input` of a grader's JSON."""
        body = fields.raw("input")
        if not isinstance(body, list) or not body:
            fields.problem("input", "is missing" if body is None else "is not a list of messages")
            return cls(())
        return cls(tuple(_turn(fields, message, f"input[{at}]") for at, message in enumerate(body)))

    def render(self, sample: Sample, item: Mapping[str, Any]) -> tuple[Mapping[str, str], ...]:
        """The messages with every variable filled in.

        Raises:
            Unreadable: A variable leads nowhere.
        """
        return tuple({"role": role, "content": text.render(sample, item)} for role, text in self.turns)

    def variables(self) -> Iterator[Variable]:
        """See `Grader.variables`."""
        for _, text in self.turns:
            yield from text.variables()


def ask(judge: Judge, request: JudgeRequest) -> Any:
    """The judge's verdict: the value of its reply's field `result`, or of a reply that is nothing but a value.

    Raises:
        Unreadable: It failed, refused, or said nothing that can be read.
    """
    try:
        reply = judge(request)
    except Exception as error:  # whatever the host's model does
        detail = f"{type(error).__name__}: {error}"[:200]
        raise Unreadable("model_grader_server_error", f"the judge failed: {detail}") from error
    if reply.refusal is not None:
        raise Unreadable("model_grader_refusal_error", f"the judge refused: {brief(reply.refusal)}")
    try:
        found = msgspec.json.decode(reply.text)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        found = reply.text.strip()
    return found.get("result") if isinstance(found, dict) else found


def no_verdict(found: Any) -> Unreadable:
    """The judge's verdict is none."""
    return Unreadable("model_grader_parse_error", f"the judge's result is {shown(found)}: {brief(found)}")


def _turn(fields: Fields, body: Any, path: str) -> tuple[str, Template]:
    message = fields.below(body, fields.path(path))
    message.raw("type")
    role = message.choice("role", ROLES)
    content = message.raw("content")
    text = content if isinstance(content, str) else _joined(message, content)
    try:
        template = Template.parse(text)
    except ValueError as error:
        message.problem("content", f"is wrong: {error}")
        template = Template(())
    message.finish()
    return role, template


def _joined(message: Fields, content: Any) -> str:
    """The text of content in parts."""
    texts = []
    for part in content if isinstance(content, list) else [content]:
        known = (
            isinstance(part, Mapping)
            and part.get("type") in _TEXT_PARTS
            and isinstance(part.get("text"), str)
        )
        if not (known or isinstance(part, str)):
            message.problem("content", f"is not text, and not parts of the types {listed(_TEXT_PARTS)}")
            return ""
        texts.append(part if isinstance(part, str) else part["text"])
    return "".join(texts)
