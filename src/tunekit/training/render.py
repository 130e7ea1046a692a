"""The one place where prompts and answers become tokens; training, generation and scoring all come through here.

It knows chat templates, target masks and stop tokens. It knows no model, no batch and no loss.

A mismatch between the text a model was trained on and the text it is served with is the most common way to lose
quality without noticing, so there is no second implementation of any of this.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from tunekit.errors import DataError, ModelError, SpecError
from tunekit.examples import ChatExample, CompletionExample, Example, Message, message_to_dict

Tokenizer: TypeAlias = Any  # transformers' tokenizers share no useful static type
ResolvedFormat = Literal["chat", "text"]

_GENERATION_TAG = re.compile(r"\{%-?\s*generation\s*-?%\}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Tokens:
    """One example as the model sees it.

    Attributes:
        ids: Token ids, shape (length,).
        weights: How much predicting each token counts in the loss, shape (length,); 0.0 is context only. The first
            token has no context to be predicted from, so its weight is always 0.0.
        row: Id of the example, for error messages.
    """

    ids: tuple[int, ...]
    weights: tuple[float, ...]
    row: str = ""

    @property
    def target_count(self) -> int:
        """How many tokens carry loss."""
        return sum(weight != 0.0 for weight in self.weights)


def has_chat_template(tokenizer: Tokenizer) -> bool:
    """Whether the tokenizer knows how a chat is written."""
    return bool(getattr(tokenizer, "chat_template", None))


def resolve_format(tokenizer: Tokenizer, prompt_format: str) -> ResolvedFormat:
    """Turn "auto" into "chat" where the tokenizer has a chat template and into "text" where it has none.

    Raises:
        SpecError: "chat" was asked for and there is no template.
    """
    if prompt_format == "auto":
        return "chat" if has_chat_template(tokenizer) else "text"
    if prompt_format == "chat" and not has_chat_template(tokenizer):
        raise SpecError(
            "prompt_format is 'chat' but the model's tokenizer has no chat template",
            hint="use prompt_format='text', or a model with a chat template",
        )
    if prompt_format not in ("chat", "text"):
        raise SpecError(f"prompt_format is {prompt_format!r}", hint="use 'auto', 'chat' or 'text'")
    return "chat" if prompt_format == "chat" else "text"


def render_prompt(
    tokenizer: Tokenizer,
    prompt: str | Sequence[Message],
    prompt_format: str = "auto",
    *,
    tools: Sequence[Mapping[str, Any]] = (),
) -> list[int]:
    """Token ids of a prompt, ready to be continued by an answer.

    Args:
        tokenizer: The model's own tokenizer.
        prompt: A text, or the messages of a chat so far.
        prompt_format: "auto", "chat" or "text", as in `SFT.prompt_format`. Messages always use the template; an
            empty text is raw text in every format.
        tools: Tool definitions for the template.

    Returns:
        Ids that are a prefix of what `render_example` gives for the same prompt with an answer.

    Raises:
        ModelError: Messages were given and the tokenizer has no chat template.
        DataError: The template refuses the messages.
    """
    if isinstance(prompt, str):
        if not prompt or resolve_format(tokenizer, prompt_format) == "text":
            return _with_bos(tokenizer, _encode(tokenizer, prompt))
        prompt = (Message(role="user", content=prompt),)
    return _chat_ids(tokenizer, prompt, tools, generation_prompt=True)


def render_answer(
    tokenizer: Tokenizer,
    answer: str,
    prompt: str | Sequence[Message],
    prompt_format: str = "auto",
    *,
    tools: Sequence[Mapping[str, Any]] = (),
) -> list[int]:
    """Token ids of an answer as it would follow `render_prompt(tokenizer, prompt, prompt_format)`, stop token included.

    This is what `score` computes the log-probability of; by construction it is what training would have targeted.
    """
    start = len(render_prompt(tokenizer, prompt, prompt_format, tools=tools))
    example: Example
    if isinstance(prompt, str):
        example = CompletionExample(prompt=prompt, completion=answer)
    else:
        reply = Message(role="assistant", content=answer)
        example = ChatExample(messages=(*prompt, reply), tools=tuple(tools))
    rendered = render_example(tokenizer, example, prompt_format)
    end = max((at + 1 for at, weight in enumerate(rendered.weights) if weight), default=start)
    return list(rendered.ids[start:end])


def render_example(tokenizer: Tokenizer, example: Example, prompt_format: str = "auto") -> Tokens:
    """Token ids of a training example and the weight of each in the loss.

    A chat is written by the model's template. Its assistant turns are found through the template's
    `{% generation %}` tags, and where it has none by rendering the conversation up to each turn. The end-of-turn token
    of every learned turn is always a target. A completion is a chat of one question and one answer, or in the "text"
    format its own tokens after those of the prompt, ended by the end-of-sequence token.

    Args:
        tokenizer: The model's own tokenizer.
        example: A `ChatExample` or a `CompletionExample`.
        prompt_format: "auto", "chat" or "text", as in `SFT.prompt_format`.

    Raises:
        DataError: The template refuses the messages, or the answer's place in the rendered text cannot be told; the
            message names the row.
        ModelError: The example is a chat and the tokenizer has no chat template.
    """
    try:
        if isinstance(example, CompletionExample):
            ids, weights = _completion(tokenizer, example, prompt_format)
        elif isinstance(example, ChatExample):
            ids, weights = _chat(tokenizer, example)
        else:
            raise DataError(
                f"a {example.kind} example cannot be learned by SFT", hint="use chat or completion examples"
            )
    except DataError as error:
        error.message = f"row {example.id!r}: {error.message}" if example.id else error.message
        raise
    if weights:
        weights[0] = 0.0
    return Tokens(ids=tuple(ids), weights=tuple(weights), row=example.id)


def is_served_as_trained(tokenizer: Tokenizer, example: Example, prompt_format: str = "auto") -> bool:
    """Whether what `render_prompt` gives for an example's last question is how the example itself begins.

    False for templates that open an answer with tokens (an empty thought, say) that they leave out of a written chat:
    a model trained on such rows answers from a place where it has never been.
    """
    if isinstance(example, CompletionExample):
        served = render_prompt(tokenizer, example.prompt, prompt_format)
    elif isinstance(example, ChatExample):
        turns = [at for at, message in enumerate(example.messages) if message.role == "assistant"]
        if not turns:
            return True
        served = render_prompt(tokenizer, example.messages[: turns[-1]], prompt_format, tools=example.tools)
    else:
        return True
    return list(render_example(tokenizer, example, prompt_format).ids[: len(served)]) == served


def end_of_turn_id(tokenizer: Tokenizer) -> int | None:
    """The special token that the chat template writes after an assistant turn, or None if it writes none."""
    if not has_chat_template(tokenizer):
        return None
    turn = (Message(role="user", content="a"), Message(role="assistant", content="b"))
    try:
        before = _chat_ids(tokenizer, turn[:1], (), generation_prompt=True)
        after = _chat_ids(tokenizer, turn, (), generation_prompt=False)
    except DataError:
        return None
    special = _special_ids(tokenizer)
    tail = after[len(before) :] if after[: len(before)] == before else after[-4:]
    # Reasoning templates open the answer with tags of their own; the turn's end is the last special token.
    return next((token for token in reversed(tail) if token in special), None)


def stop_ids(tokenizer: Tokenizer, extra: Iterable[int] = ()) -> tuple[int, ...]:
    """Every token that ends an answer: end of sequence, end of turn and what the model's own config adds, sorted."""
    found = {tokenizer.eos_token_id, end_of_turn_id(tokenizer), *extra}
    return tuple(sorted(token for token in found if token is not None))


def _completion(
    tokenizer: Tokenizer, example: CompletionExample, prompt_format: str
) -> tuple[list[int], list[float]]:
    if example.prompt and resolve_format(tokenizer, prompt_format) == "chat":
        messages = (
            Message(role="user", content=example.prompt),
            Message(role="assistant", content=example.completion),
        )
        return _chat(tokenizer, ChatExample(messages=messages))
    prompt = render_prompt(tokenizer, example.prompt, "text")
    # Encoded apart from the prompt: at serving time the prompt is encoded alone, too.
    answer = _encode(tokenizer, example.completion)
    if tokenizer.eos_token_id is not None and answer[-1:] != [tokenizer.eos_token_id]:
        answer.append(tokenizer.eos_token_id)
    return prompt + answer, [0.0] * len(prompt) + [1.0] * len(answer)


def _chat(tokenizer: Tokenizer, example: ChatExample) -> tuple[list[int], list[float]]:
    turns = [at for at, message in enumerate(example.messages) if message.role == "assistant"]
    ids = _chat_ids(tokenizer, example.messages, example.tools, generation_prompt=False)
    if not turns:
        return ids, [0.0] * len(ids)
    spans = _tagged_spans(tokenizer, example) if _GENERATION_TAG.search(tokenizer.chat_template) else []
    turn_weights = [example.messages[at].weight for at in turns]
    if not spans or (len(spans) != len(turns) and len(set(turn_weights)) > 1):
        spans = [_prefix_span(tokenizer, example, at, ids) for at in turns]
    stops = {tokenizer.eos_token_id, end_of_turn_id(tokenizer)} - {None}
    weights = [0.0] * len(ids)
    for number, (start, end) in enumerate(spans):
        weight = turn_weights[number] if len(spans) == len(turns) else turn_weights[0]
        end = _with_stop(ids, start, end, stops)
        weights[start:end] = [weight] * (end - start)
    last_start, last_end = spans[-1]
    ends_open = example.messages[-1].role == "assistant" and not stops & set(
        ids[last_start:][: last_end - last_start + 1]
    )
    if ends_open and tokenizer.eos_token_id is not None:
        # A template that never ends a turn: without a stop token the tuned model would not know when to stop.
        ids.append(tokenizer.eos_token_id)
        weights.append(turn_weights[-1])
    return ids, weights


def _with_stop(ids: Sequence[int], start: int, end: int, stops: set[int]) -> int:
    """End of a target span: just behind its stop token, be that inside, or the token that follows."""
    for at in range(end - 1, start - 1, -1):
        if ids[at] in stops:
            return at + 1
    return end + 1 if end < len(ids) and ids[end] in stops else end


def _tagged_spans(tokenizer: Tokenizer, example: ChatExample) -> list[tuple[int, int]]:
    """Runs of tokens inside the template's `{% generation %}` tags; empty if the tags mark nothing."""
    rendered = _apply(
        tokenizer,
        example.messages,
        example.tools,
        tokenize=True,
        return_dict=True,
        return_assistant_tokens_mask=True,
    )
    mask = rendered["assistant_masks"]
    edges = [
        at for at in range(len(mask) + 1) if bool(at < len(mask) and mask[at]) != bool(at and mask[at - 1])
    ]
    return list(zip(edges[::2], edges[1::2], strict=True))


def _prefix_span(tokenizer: Tokenizer, example: ChatExample, turn: int, ids: list[int]) -> tuple[int, int]:
    """Where an assistant turn lies in the rendered chat, found by rendering the chat up to it."""
    before = (
        _chat_ids(tokenizer, example.messages[:turn], example.tools, generation_prompt=True) if turn else []
    )
    start = len(before)
    if ids[:start] != before:
        raise _ambiguous(turn)
    upto = _chat_ids(tokenizer, example.messages[: turn + 1], example.tools, generation_prompt=False)
    if ids[: len(upto)] == upto and len(upto) > start:
        return start, len(upto)
    # Templates that rewrite history (reasoning is dropped from earlier turns) still end each turn with its token.
    end = end_of_turn_id(tokenizer)
    if end is None or end not in ids[start:]:
        raise _ambiguous(turn)
    return start, ids.index(end, start) + 1


def _ambiguous(turn: int) -> DataError:
    return DataError(
        f"message {turn}: the chat rendered up to this turn is not a prefix of the whole, so its tokens cannot be told",
        field=f"messages[{turn}]",
        hint="add {% generation %} tags to the model's chat template, or make each answer an example of its own",
    )


def _chat_ids(
    tokenizer: Tokenizer,
    messages: Sequence[Message],
    tools: Sequence[Mapping[str, Any]],
    *,
    generation_prompt: bool,
) -> list[int]:
    text = _apply(tokenizer, messages, tools, tokenize=False, add_generation_prompt=generation_prompt)
    return _encode(tokenizer, text)


def _apply(
    tokenizer: Tokenizer, messages: Sequence[Message], tools: Sequence[Mapping[str, Any]], **options: Any
) -> Any:
    from jinja2.exceptions import TemplateError

    if not has_chat_template(tokenizer):
        raise ModelError(
            "the model's tokenizer has no chat template, so messages cannot be written for it",
            hint="use prompt/completion rows, or a model with a chat template",
        )
    try:
        chat = [_template_message(message) for message in messages]
        return tokenizer.apply_chat_template(chat, tools=[dict(tool) for tool in tools] or None, **options)
    except (TemplateError, TypeError, ValueError) as error:
        raise DataError(
            f"the model's chat template refuses these messages: {error}",
            hint="check the order of roles; many templates want user and assistant to alternate",
        ) from error


def _template_message(message: Message) -> dict[str, Any]:
    """One message as templates expect it: tool arguments as an object, no loss weight."""
    body = message_to_dict(message)
    body.pop("weight", None)
    for call in body.get("tool_calls", ()):
        try:
            arguments = json.loads(call["function"]["arguments"])
        except ValueError:
            continue  # not JSON: the template gets the text as it is
        if isinstance(arguments, dict):
            call["function"]["arguments"] = arguments
    return body


def _encode(tokenizer: Tokenizer, text: str) -> list[int]:
    try:
        return list(tokenizer(text, add_special_tokens=False)["input_ids"])
    except (TypeError, UnicodeEncodeError) as error:
        raise DataError(
            "the text holds half of a surrogate pair, which is no character",
            hint="it was cut or decoded wrongly somewhere; read the file as UTF-8 again",
        ) from error


def _with_bos(tokenizer: Tokenizer, ids: list[int]) -> list[int]:
    """Begin with the beginning-of-sequence token where the tokenizer would, and never with two of them."""
    bos = tokenizer.bos_token_id
    adds_bos = bos is not None and list(tokenizer("a")["input_ids"])[:1] == [bos]
    return [bos, *ids] if adds_bos and ids[:1] != [bos] else ids


def _special_ids(tokenizer: Tokenizer) -> set[int]:
    added = {token for token, entry in tokenizer.added_tokens_decoder.items() if entry.special}
    return added | set(tokenizer.all_special_ids)
