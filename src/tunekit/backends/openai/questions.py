"""A question as the body of a call, and its answer. Knows chats and plain text to go on with; sends nothing.

A chat model is asked at /chat/completions, where plain text is what a user says. A base model has no chat: it goes on
with a text, at /completions. Which of the two a plain text is for, the name of the model tells, or the caller.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from tunekit.backends.base import GenerateRequest, Generation, Prompt
from tunekit.backends.openai import problems, wire
from tunekit.backends.openai.hosts import Host
from tunekit.data.wording import brief, shown
from tunekit.errors import BackendError, SpecError
from tunekit.events import Usage
from tunekit.examples import Message, message_to_dict
from tunekit.spec import Sampling

PlainText: TypeAlias = Literal["auto", "chat", "completion"]
PLAIN_TEXT: tuple[PlainText, ...] = ("auto", "chat", "completion")

CHAT = "/chat/completions"
TEXT = "/completions"

_TRAINING_ONLY = ("weight", "reasoning_content")


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What is asked, and where.

    Attributes:
        path: `CHAT` or `TEXT`.
        body: Of the call.
    """

    path: str
    body: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Asking:
    """How a host is asked.

    Attributes:
        host: Whose words are used.
        plain_text: What a plain text is: something that a user says ("chat"), a text to go on with ("completion"), or
            whichever of them the model is for ("auto").
    """

    host: Host
    plain_text: PlainText = "auto"

    def question(self, model: str, request: GenerateRequest, sampling: Sampling) -> Question:
        """The call that asks it.

        Raises:
            SpecError: The model goes on with plain text, and this is more than that.
        """
        if not self._goes_on(model, request.prompt):
            return Question(path=CHAT, body=_chat(model, request, sampling, self.host.max_tokens_field))
        if not isinstance(request.prompt, str) or request.tools:
            raise SpecError(
                f"{brief(model)} goes on with plain text, and this is a chat or has tools",
                hint="ask with a plain text as prompt, and without tools",
            )
        return Question(path=TEXT, body=_text(model, request.prompt, request, sampling))

    def _goes_on(self, model: str, prompt: Prompt) -> bool:
        """Whether the model is asked for the continuation of a text."""
        if self.plain_text != "auto":
            return self.plain_text == "completion" and isinstance(prompt, str)
        return self.host.goes_on_with_text(model)


def _chat(model: str, request: GenerateRequest, sampling: Sampling, max_tokens_field: str) -> dict[str, Any]:
    body = {"model": model, "messages": _messages(request.prompt), max_tokens_field: sampling.max_tokens}
    body |= _drawn(request, sampling)
    if request.tools:
        body["tools"] = [dict(tool) for tool in request.tools]
    return body


def _text(model: str, prompt: str, request: GenerateRequest, sampling: Sampling) -> dict[str, Any]:
    body = {"model": model, "prompt": prompt, "max_tokens": sampling.max_tokens}
    return body | _drawn(request, sampling)


def _drawn(request: GenerateRequest, sampling: Sampling) -> dict[str, Any]:
    """How an answer is drawn, which both kinds of question say alike."""
    drawn: dict[str, Any] = {
        "temperature": sampling.temperature,
        "top_p": sampling.top_p,
        "seed": sampling.seed if request.seed is None else request.seed,
    }
    return drawn | ({"stop": list(sampling.stop)} if sampling.stop else {})


def _messages(prompt: Prompt) -> list[dict[str, Any]]:
    turns = (Message(role="user", content=prompt),) if isinstance(prompt, str) else prompt
    bodies = [message_to_dict(turn) for turn in turns]
    return [{key: body[key] for key in body if key not in _TRAINING_ONLY} for body in bodies]


# --- answers ------------------------------------------------------------------------------------------


def answer(path: str, body: Any) -> Generation:
    """The answer to a question that was asked at a path.

    An answer that only calls tools is their calls as JSON, in the shape of a chat completion's `tool_calls`.

    Raises:
        BackendError: There is none in it, or it is an error, which some proxies send with a status of 200.
    """
    choice = wire.first(body, "choices")
    said = _said(choice) if path == CHAT else _gone_on(choice)
    if said is None:
        refuse_error(body)
        choices = body.get("choices") if isinstance(body, dict) else body
        raise wire.unreadable("an answer", f"its choices are {shown(choices)}")
    return Generation(
        text=said, finish_reason=wire.text(choice, "finish_reason") or "stop", usage=usage(body) or Usage()
    )


def _said(choice: Mapping[str, Any]) -> str | None:
    message = choice.get("message")
    if not isinstance(message, dict) or not isinstance(message.get("content"), str | list | None):
        return None
    said = wire.words(message, "content") or wire.text(message, "refusal")
    calls = wire.items(message, "tool_calls")
    return said or (as_text(calls) if calls else "")


def _gone_on(choice: Mapping[str, Any]) -> str | None:
    return wire.text(choice, "text") if isinstance(choice.get("text"), str) else None


def refuse_error(body: Any) -> None:
    """Raise what a body says is wrong, if it says that: what came with a status of 200, or in the middle of a stream.

    Raises:
        BackendError: It is an error of the host.
    """
    if error := body.get("error") if isinstance(body, dict) else None:
        said = error if isinstance(error, str) else wire.text(wire.mapping(body, "error"), "message")
        raise BackendError(
            f"the host broke while it answered: {problems.shown(said, 200) or shown(error)}",
            hint="ask again",
            retryable=True,
            details={"code": wire.text(wire.mapping(body, "error"), "code")},
        )


def as_text(calls: Any) -> str:
    """Calls of tools as the text of an answer."""
    return json.dumps(wire.plain(calls), ensure_ascii=False)


def usage(body: Mapping[str, Any]) -> Usage | None:
    """What a reply says that it has cost; None if it does not say."""
    found = wire.mapping(body, "usage")
    if not found:
        return None
    return Usage(
        input_tokens=wire.count(found, "prompt_tokens"), output_tokens=wire.count(found, "completion_tokens")
    )
