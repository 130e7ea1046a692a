"""How one tokenizer writes: its chat template and the tokens around a turn. Found out once, used for every row.

It knows messages and token ids. It does not know which of them are learned (`render` does), nor any model.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, TypeAlias

from tunekit.errors import DataError, ModelError, TunekitError
from tunekit.examples import Message, message_to_dict
from tunekit.training.texts.control_tokens import ControlTokens

Tokenizer: TypeAlias = Any  # transformers' tokenizers share no useful static type
Tools: TypeAlias = Sequence[Mapping[str, Any]]

_GENERATION_TAG = re.compile(r"\{%-?\s*generation\s*-?%\}")
_MAX_CHARACTERS = 50_000_000

RenderingLimit: TypeAlias = Callable[[str], AbstractContextManager[None]]
"""Put around each use of a template, which is somebody else's program; told what that is, for the error."""

_rendering_limit: ContextVar[RenderingLimit] = ContextVar(
    "rendering_limit", default=lambda what: nullcontext()
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Template:
    """A tokenizer with what follows from it. Make one with `Template.of` and hand it to everything that renders.

    Attributes:
        tokenizer: The tokenizer.
        has_chat: Whether it knows how a chat is written.
        begin: The token that plain text begins with, or None.
        adds_space: Whether every text is read with a space before it, as by SentencePiece. (A tokenizer to which spaces
            are nothing, such as BERT's, looks like that too, and it makes no difference.)
        end_of_turn: The special token that the chat template writes after an assistant turn, or None.
        controls: What no message may contain.
    """

    tokenizer: Tokenizer
    has_chat: bool
    begin: int | None
    adds_space: bool
    end_of_turn: int | None
    controls: ControlTokens

    @classmethod
    def of(cls, tokenizer: Tokenizer | Template) -> Template:
        """What is known about a tokenizer; a `Template` is returned as it is."""
        if isinstance(tokenizer, Template):
            return tokenizer
        bos, has_chat = tokenizer.bos_token_id, bool(getattr(tokenizer, "chat_template", None))
        return cls(
            tokenizer=tokenizer,
            has_chat=has_chat,
            begin=bos
            if bos is not None and _encode(tokenizer, "a", add_special_tokens=True)[:1] == [bos]
            else None,
            adds_space=_encode(tokenizer, "a") == _behind(tokenizer, " a"),
            end_of_turn=_end_of_turn(tokenizer) if has_chat else None,
            controls=ControlTokens.of(tokenizer),
        )

    @property
    def stops(self) -> frozenset[int]:
        """Tokens that end an answer in training: end of sequence and end of turn."""
        return frozenset({self.tokenizer.eos_token_id, self.end_of_turn} - {None})

    def marks_answers(self, tools: Tools) -> bool:
        """Whether the chat template has `{% generation %}` tags and the tokenizer can place them."""
        return bool(self.tokenizer.is_fast and _GENERATION_TAG.search(_source(self.tokenizer, tools)))

    def encode(self, text: str) -> list[int]:
        """Token ids of a text, no special ones around it. Raises `DataError` for what is no Unicode."""
        return _encode(self.tokenizer, text)

    def encode_behind(self, text: str) -> list[int]:
        """The same for a text that continues another one: no space comes between them that nobody wrote."""
        found = _behind(self.tokenizer, text) if self.adds_space else None
        return self.encode(text) if found is None else found

    def whole(self, text: str) -> list[int]:
        """Token ids of a text with the special tokens that the tokenizer puts around it, and none inside.

        A "[SEP]" that somebody typed is read as these five characters. Raises `DataError` for what is no Unicode.
        """
        return _encode(self.tokenizer, text, add_special_tokens=True, split_special_tokens=True)

    def text(self, messages: Sequence[Message], tools: Tools, *, generation_prompt: bool) -> str:
        """A chat as the template writes it.

        Args:
            messages: The chat.
            tools: Tool definitions.
            generation_prompt: End with the beginning of an answer.

        Raises:
            DataError: The template refuses the messages, or makes far too much of them.
            ModelError: There is no template for them.
        """
        return _text(self.tokenizer, messages, tools, generation_prompt=generation_prompt)

    def ids(self, messages: Sequence[Message], tools: Tools, *, generation_prompt: bool) -> list[int]:
        """`text`, encoded."""
        return self.encode(self.text(messages, tools, generation_prompt=generation_prompt))

    def answer_mask(self, messages: Sequence[Message], tools: Tools) -> list[int]:
        """1 for every token of a chat that lies inside the template's `{% generation %}` tags, else 0."""
        options = {"tokenize": True, "return_dict": True, "return_assistant_tokens_mask": True}
        return list(_apply(self.tokenizer, messages, tools, **options)["assistant_masks"])


def limit_rendering(limit: RenderingLimit) -> None:
    """From now on, in this context, limit every use of a template. For child processes: limits are of a process."""
    _rendering_limit.set(limit)


def limited(what: str) -> AbstractContextManager[None]:
    """That limit, around something else that somebody else's files decide."""
    return _rendering_limit.get()(what)


def stop_ids(tokenizer: Tokenizer | Template, extra: Iterable[int] = ()) -> tuple[int, ...]:
    """Every token that ends an answer: end of sequence, end of turn and what the model's own config adds, sorted."""
    return tuple(sorted({*Template.of(tokenizer).stops, *extra}))


def _end_of_turn(tokenizer: Tokenizer) -> int | None:
    turn = (Message(role="user", content="a"), Message(role="assistant", content="b"))
    try:
        before = _encode(tokenizer, _text(tokenizer, turn[:1], (), generation_prompt=True))
        after = _encode(tokenizer, _text(tokenizer, turn, (), generation_prompt=False))
    except (DataError, ModelError):
        return None
    special = {token for token, entry in tokenizer.added_tokens_decoder.items() if entry.special}
    special |= set(tokenizer.all_special_ids)
    tail = after[len(before) :] if after[: len(before)] == before else after[-4:]
    # Reasoning templates open the answer with tags of their own; the turn's end is the last special token.
    return next((token for token in reversed(tail) if token in special), None)


def _behind(tokenizer: Tokenizer, text: str) -> list[int] | None:
    """Token ids of a text behind a line break; None where both together are not these and those of the line break."""
    line_break, both = _encode(tokenizer, "\n"), _encode(tokenizer, "\n" + text)
    return both[len(line_break) :] if both[: len(line_break)] == line_break else None


def _text(tokenizer: Tokenizer, messages: Sequence[Message], tools: Tools, *, generation_prompt: bool) -> str:
    text: str = _apply(tokenizer, messages, tools, tokenize=False, add_generation_prompt=generation_prompt)
    if len(text) > _MAX_CHARACTERS:
        raise DataError(
            f"the model's chat template makes {len(text)} characters of these messages",
            hint="the template is broken, or does not come from where you think; use another model",
        )
    return text


def _source(tokenizer: Tokenizer, tools: Tools) -> str:
    """The template in use: tokenizers may have several by name, and pick one by whether there are tools."""
    if not getattr(tokenizer, "chat_template", None):
        raise ModelError(
            "the model's tokenizer has no chat template, so messages cannot be written for it",
            hint="use prompt/completion rows, or a model with a chat template",
        )
    try:
        return str(tokenizer.get_chat_template(tools=list(tools) or None))
    except ValueError as error:
        raise ModelError(
            f"the model's tokenizer has chat templates named {sorted(tokenizer.chat_template)!r} and no default",
            hint="name one of them 'default' in the model's tokenizer files",
        ) from error


def _apply(tokenizer: Tokenizer, messages: Sequence[Message], tools: Tools, **options: Any) -> Any:
    from jinja2.exceptions import TemplateError

    source = _source(tokenizer, tools)
    _refuse_unwritten(messages, source)
    try:
        chat = [_template_message(message) for message in messages]
        with limited("writing a chat with the model's template"):
            return tokenizer.apply_chat_template(
                chat, tools=[dict(tool) for tool in tools] or None, **options
            )
    except (TemplateError, TypeError, ValueError) as error:
        raise DataError(
            f"the model's chat template refuses these messages: {error}",
            hint="check the order of roles; many templates want user and assistant to alternate",
        ) from error
    except (TunekitError, MemoryError):
        raise
    except Exception as error:  # a program may raise whatever it wants
        raise ModelError(
            f"the model's chat template fails on these messages: {type(error).__name__}: {str(error)[:200]}",
            hint="the template is broken; compare it with the model's own, or use another model",
        ) from error


def _refuse_unwritten(messages: Sequence[Message], source: str) -> None:
    """Raise for what would be left out of the text in silence."""
    for at, message in enumerate(messages):
        if any(part.get("type") != "text" for part in message.parts):
            raise DataError(
                "the content has parts that are no text; this trainer learns from text",
                field=f"messages[{at}].content",
                hint="leave such rows out, or train where images and sound are read",
            )
        if message.reasoning and "reasoning_content" not in source:
            raise DataError(
                "the turn has reasoning, and the model's chat template does not write any",
                field=f"messages[{at}].reasoning_content",
                hint="map it into the content, drop it, or use a model whose template writes reasoning_content",
            )


def _template_message(message: Message) -> dict[str, Any]:
    """One message as templates expect it: tool arguments as an object, no loss weight."""
    body = message_to_dict(message)
    body["content"] = message.content  # text parts as one text, which every template can write
    body.pop("weight", None)
    for call in body.get("tool_calls", ()):
        try:
            arguments = json.loads(call["function"]["arguments"])
        except ValueError:
            continue  # not JSON: the template gets the text as it is
        if isinstance(arguments, dict):
            call["function"]["arguments"] = arguments
    return body


def _encode(
    tokenizer: Tokenizer, text: str, *, add_special_tokens: bool = False, **options: Any
) -> list[int]:
    try:
        with limited("reading a text with the model's tokenizer"):
            return list(tokenizer(text, add_special_tokens=add_special_tokens, **options)["input_ids"])
    except (TypeError, UnicodeEncodeError) as error:
        raise DataError(
            "the text holds half of a surrogate pair, which is no character",
            hint="it was cut or decoded wrongly somewhere; read the file as UTF-8 again",
        ) from error
    except BaseException as error:
        # tokenizers raises Exception itself, and where it panics what is no Exception at all.
        if type(error) is not Exception and type(error).__name__ != "PanicException":
            raise
        raise ModelError(
            f"the model's tokenizer fails on a text: {str(error)[:200]}",
            hint="its files are broken; compare them with the model's own, or use another model",
        ) from error
