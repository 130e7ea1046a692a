"""A `Modelfile` for Ollama. Knows how a few template families write a chat; runs nothing.

A chat template is a program, and Ollama's are written in another language. A family is recognised by what the model's
own template writes, never by its name: only where that is to the letter what the family writes is it translated.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tunekit.errors import DataError, ModelError
from tunekit.examples import Message
from tunekit.training.texts.render import ResolvedFormat
from tunekit.training.texts.template import Template


@dataclass(frozen=True, slots=True)
class _Style:
    """How a family writes a chat: around each turn, and before the answer.

    Attributes:
        turn: Text of a turn, with {role} and {content}.
        answer: Text before the answer.
        roles: What it calls the roles.
        go: The same in Ollama's language.
    """

    turn: str
    answer: str
    roles: dict[str, str]
    go: str

    def text(self, messages: Sequence[Message]) -> str:
        turns = [
            self.turn.format(role=self.roles[item.role], content=item.content)
            for item in messages
            if item.role in self.roles
        ]
        return "".join(turns) + self.answer


_ROLES = {"system": "system", "user": "user", "assistant": "assistant"}


def _style(turn: str, answer: str) -> _Style:
    go = turn.format(role="{{ .Role }}", content="{{ .Content }}")
    return _Style(turn, answer, _ROLES, "{{- range .Messages }}" + go + "{{ end }}" + answer)


_STYLES = (
    _style("<|im_start|>{role}\n{content}<|im_end|>\n", "<|im_start|>assistant\n"),
    _style(
        "<|start_header_id|>{role}<|end_header_id|>\n\n{content}<|eot_id|>",
        "<|start_header_id|>assistant<|end_header_id|>\n\n",
    ),
    _style("<|{role}|>\n{content}<|end|>\n", "<|assistant|>\n"),
    _style("<|{role}|>\n{content}</s>\n", "<|assistant|>\n"),
    _Style(
        "<start_of_turn>{role}\n{content}<end_of_turn>\n",
        "<start_of_turn>model\n",
        {"user": "user", "assistant": "model"},
        '{{- range .Messages }}<start_of_turn>{{ if eq .Role "assistant" }}model{{ else }}user{{ end }}\n'
        "{{ .Content }}<end_of_turn>\n{{ end }}<start_of_turn>model\n",
    ),
)
"""ChatML, Llama 3, Phi-3, Zephyr and Gemma, which has no system turn."""

_CHAT = (
    Message(role="user", content="What is 2 + 2?"),
    Message(role="assistant", content="It is 4."),
    Message(role="user", content="And 3 + 3?"),
)


def modelfile(
    template: Template, prompt_format: ResolvedFormat, stop_ids: Sequence[int], *, source: str
) -> tuple[str, list[str]]:
    """The text of a `Modelfile`, and what its reader should know.

    Args:
        template: Of the model.
        prompt_format: How prompts are written for it.
        stop_ids: Tokens that end an answer.
        source: What `FROM` names: "." for the directory itself, or a GGUF file in it.
    """
    notes = []
    style = _style_of(template) if prompt_format == "chat" else None
    if prompt_format == "chat" and style is None:
        notes.append(
            "the chat template is of no family that is known here, so the Modelfile passes prompts on as they are: "
            "write them with the model's own template (tokenizer.apply_chat_template), or write TEMPLATE yourself"
        )
    if style is not None:
        notes.append("tool calls are not part of the translated template")
    written = style.go if style is not None else "{{ .Prompt }}"
    lines = [f"FROM {source}", f'TEMPLATE """{written}"""']
    lines += [f"PARAMETER stop {_quoted(template.tokenizer.decode([token]))}" for token in stop_ids]
    return "\n".join(lines) + "\n", notes


def _style_of(template: Template) -> _Style | None:
    return next((style for style in _STYLES if _writes(template, style)), None)


def _writes(template: Template, style: _Style) -> bool:
    chats: list[tuple[Message, ...]] = [_CHAT]
    if "system" in style.roles:
        chats.append((Message(role="system", content="Be brief."), *_CHAT))
    try:
        return all(_without_begin(template, chat) == style.text(chat) for chat in chats)
    except (DataError, ModelError):
        return False


def _without_begin(template: Template, chat: Sequence[Message]) -> str:
    """Ollama writes the token that begins a text itself."""
    text = template.text(chat, (), generation_prompt=True)
    return text.removeprefix(template.tokenizer.bos_token or "")


def _quoted(text: str) -> str:
    return f'"""{text}"""' if '"' in text or "\n" in text else f'"{text}"'
