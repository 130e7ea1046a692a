"""The one place where prompts and answers become tokens; training, generation and scoring all come through here.

It knows chats, target masks and stop tokens. It knows no model, no batch and no loss; how a tokenizer writes is
`template`'s to know, and what an encoder-decoder reads and writes apart is `pairs`'s.

A mismatch between the text a model was trained on and the text it is served with is the most common way to lose
quality without noticing, so there is no second implementation of any of this.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Literal

from tunekit.errors import DataError, ModelError, SpecError
from tunekit.examples import ChatExample, CompletionExample, Example, Message
from tunekit.training.texts.control_tokens import Part, parts_of
from tunekit.training.texts.rows import Tokens
from tunekit.training.texts.template import Template, Tokenizer, Tools

ResolvedFormat = Literal["chat", "text"]
AUTO_FORMATS: Mapping[ResolvedFormat, str] = {
    "chat": "chat: the tokenizer has a chat template",
    "text": "text: the tokenizer has no chat template, so a prompt is written as it is",
}
"""Why "auto" became what it did, for the report."""


def resolve_format(tokenizer: Tokenizer | Template, prompt_format: str) -> ResolvedFormat:
    """Turn "auto" into "chat" where the tokenizer has a chat template and into "text" where it has none.

    Raises:
        SpecError: "chat" was asked for and there is no template.
    """
    has_chat = Template.of(tokenizer).has_chat
    if prompt_format == "auto":
        return "chat" if has_chat else "text"
    if prompt_format == "chat" and not has_chat:
        raise SpecError(
            "prompt_format is 'chat' but the model's tokenizer has no chat template",
            hint="use prompt_format='text', or a model with a chat template",
        )
    if prompt_format not in ("chat", "text"):
        raise SpecError(f"prompt_format is {prompt_format!r}", hint="use 'auto', 'chat' or 'text'")
    return "chat" if prompt_format == "chat" else "text"


def render_prompt(
    tokenizer: Tokenizer | Template,
    prompt: str | Sequence[Message],
    prompt_format: str = "auto",
    *,
    tools: Tools = (),
) -> list[int]:
    """Token ids of a prompt, ready to be continued by an answer.

    They end where the template's generation prompt ends. For most templates that is how `render_example` of the same
    prompt with an answer begins; some open an answer with tokens (a thought) that they do not write into a finished
    chat. `is_served_as_trained` tells, preflight warns, and `render_answer` refuses.

    Args:
        tokenizer: The model's own tokenizer, or its `Template` where many prompts are rendered.
        prompt: A text, or the messages of a chat so far.
        prompt_format: "auto", "chat" or "text", as in `SFT.prompt_format`. Messages always use the template; an
            empty text is raw text in every format.
        tools: Tool definitions for the template.

    Raises:
        ModelError: Messages were given and the tokenizer has no chat template.
        DataError: There are no messages, the template refuses them, or one of them holds a control token.
    """
    template = Template.of(tokenizer)
    if not isinstance(prompt, str):
        if not prompt:
            raise DataError(
                "the prompt has no messages, and a chat template writes no chat without any",
                field="messages",
                hint="begin with a user message",
            )
        template.controls.refuse_in(parts_of(prompt, tools))
        return template.ids(prompt, tools, generation_prompt=True)
    if not prompt or resolve_format(template, prompt_format) == "text":
        return _text_prompt(template, prompt)
    template.controls.refuse_in([Part(field="prompt", text=prompt)])
    return template.ids((Message(role="user", content=prompt),), tools, generation_prompt=True)


def render_answer(
    tokenizer: Tokenizer | Template,
    answer: str,
    prompt: str | Sequence[Message],
    prompt_format: str = "auto",
    *,
    tools: Tools = (),
    prompt_ids: Sequence[int] | None = None,
) -> list[int]:
    """Token ids of an answer as it would follow `render_prompt(tokenizer, prompt, prompt_format)`, stop token included.

    This is what `score` computes the log-probability of: the tokens that training would have targeted.

    Args:
        tokenizer: As for `render_prompt`.
        answer: What the assistant says.
        prompt: As for `render_prompt`.
        prompt_format: As for `render_prompt`.
        tools: As for `render_prompt`.
        prompt_ids: What `render_prompt` gave for the same prompt, so that it is not rendered again for every answer.

    Raises:
        ModelError: The template writes a finished chat in such a way that it does not begin with the prompt.
        DataError: As for `render_example`.
    """
    template = Template.of(tokenizer)
    if prompt_ids is None:
        prompt_ids = render_prompt(template, prompt, prompt_format, tools=tools)
    example: Example
    if isinstance(prompt, str) and tools and prompt and resolve_format(template, prompt_format) == "chat":
        prompt = (Message(role="user", content=prompt),)
    if isinstance(prompt, str):
        example = CompletionExample(prompt=prompt, completion=answer)
    else:
        reply = Message(role="assistant", content=answer)
        example = ChatExample(messages=(*prompt, reply), tools=tuple(tools))
    return list(answer_behind(prompt_ids, render_example(template, example, prompt_format)).ids)


def render_example(tokenizer: Tokenizer | Template, example: Example, prompt_format: str = "auto") -> Tokens:
    """Token ids of a training example and the weight of each in the loss.

    A chat is written by the model's template. Its assistant turns are found through the template's
    `{% generation %}` tags, and where these do not mark one run for each turn, by rendering the conversation up to each
    turn. The end-of-turn token of every learned turn is always a target. A completion is a chat of one question and one
    answer, or in the "text" format its own tokens after those of the prompt, ended by the end-of-sequence token.

    Args:
        tokenizer: The model's own tokenizer, or its `Template` where many examples are rendered.
        example: A `ChatExample` or a `CompletionExample`.
        prompt_format: "auto", "chat" or "text", as in `SFT.prompt_format`.

    Raises:
        DataError: The template refuses the messages or leaves tools out, a message holds a control token, or the
            answer's place in the rendered text cannot be told; the message names the row.
        ModelError: The example is a chat and the tokenizer has no chat template.
    """
    template = Template.of(tokenizer)
    with naming(example):
        if isinstance(example, CompletionExample):
            return _completion(template, example, prompt_format)
        if isinstance(example, ChatExample):
            template.controls.refuse_in(parts_of(example.messages, example.tools))
            return _chat(template, example)
        raise DataError(
            f"a {example.kind} example cannot be learned by SFT", hint="use chat or completion examples"
        )


@contextmanager
def naming(example: Example) -> Iterator[None]:
    """Put the row's id before what a `DataError` of the block says."""
    try:
        yield
    except DataError as error:
        error.message = f"row {example.id!r}: {error.message}" if example.id else error.message
        raise


def answer_behind(prompt: Sequence[int], whole: Tokens) -> Tokens:
    """The answer of a finished chat: what follows the prompt, up to the last token that is learned.

    Raises:
        ModelError: The chat does not begin with the prompt.
    """
    start = len(prompt)
    if list(whole.ids[:start]) != list(prompt):
        raise ModelError(
            "the model's chat template opens an answer with other tokens than it writes into a finished chat, so the "
            "tokens of an answer cannot be told from those of its prompt",
            hint="make the template's generation prompt the way it begins an assistant turn; until then, generate",
        )
    end = max((at + 1 for at, weight in enumerate(whole.weights) if weight), default=start)
    return replace(whole, ids=whole.ids[start:end], weights=whole.weights[start:end])


def is_served_as_trained(
    tokenizer: Tokenizer | Template, example: Example, prompt_format: str = "auto"
) -> bool:
    """Whether what `render_prompt` gives for an example's last question is how the example itself begins.

    False for templates that open an answer with tokens (an empty thought, say) that they leave out of a written chat:
    a model trained on such rows answers from a place where it has never been.
    """
    template = Template.of(tokenizer)
    if isinstance(example, CompletionExample):
        served = render_prompt(template, example.prompt, prompt_format)
    elif isinstance(example, ChatExample):
        turns = [at for at, message in enumerate(example.messages) if message.role == "assistant"]
        if not turns or not turns[-1]:
            return True  # no question is asked, so none is served
        served = render_prompt(template, example.messages[: turns[-1]], prompt_format, tools=example.tools)
    else:
        return True
    return list(render_example(template, example, prompt_format).ids[: len(served)]) == served


def _tokens(ids: list[int], weights: list[float], row: str, silent_turns: int = 0) -> Tokens:
    # Nothing stands before the first token, so it cannot be predicted.
    return Tokens(
        ids=tuple(ids), weights=(0.0, *weights[1:]) if weights else (), row=row, silent_turns=silent_turns
    )


def ended(template: Template, ids: list[int]) -> list[int]:
    """With the end-of-sequence token behind them, once."""
    eos = template.tokenizer.eos_token_id
    return ids if eos is None or ids[-1:] == [eos] else [*ids, eos]


def _text_prompt(template: Template, prompt: str) -> list[int]:
    """Begin with the beginning-of-sequence token where the tokenizer would, and never with two of them."""
    ids = template.encode(prompt)
    return [template.begin, *ids] if template.begin is not None and ids[:1] != [template.begin] else ids


def _completion(template: Template, example: CompletionExample, prompt_format: str) -> Tokens:
    if example.prompt and resolve_format(template, prompt_format) == "chat":
        question, answer = Part(field="prompt", text=example.prompt), example.completion
        template.controls.refuse_in([question, Part(field="completion", text=answer, is_answer=True)])
        turns = (Message(role="user", content=example.prompt), Message(role="assistant", content=answer))
        return _chat(template, ChatExample(id=example.id, messages=turns))
    prompt = _text_prompt(template, example.prompt)
    # Encoded apart from the prompt: at serving time the prompt is encoded alone, too.
    encode = template.encode_behind if example.prompt else template.encode
    completion = ended(template, encode(example.completion))
    return _tokens(prompt + completion, [0.0] * len(prompt) + [1.0] * len(completion), example.id)


def _chat(template: Template, example: ChatExample) -> Tokens:
    text = template.text(example.messages, example.tools, generation_prompt=False)
    _require_tools(example, text)
    ids = template.encode(text)
    turns = [at for at, message in enumerate(example.messages) if message.role == "assistant"]
    weights = [0.0] * len(ids)
    for turn, (start, end) in zip(turns, _spans(template, example, turns, ids), strict=True):
        end = _with_stop(ids, start, end, template.stops)
        _require_calls(template, example, turn, ids[start:end])
        weights[start:end] = [example.messages[turn].weight] * (end - start)
        if turn == len(example.messages) - 1 and not template.stops & set(ids[start:end]):
            _end_of_sequence(template, ids, weights, example.messages[turn].weight)
    silent = sum(example.messages[turn].weight == 0.0 for turn in turns)
    return _tokens(ids, weights, example.id, silent)


def _end_of_sequence(template: Template, ids: list[int], weights: list[float], weight: float) -> None:
    """For templates that never end a turn: without a stop token the tuned model would not know when to stop."""
    eos = template.tokenizer.eos_token_id
    if eos is not None:
        ids.append(eos)
        weights.append(weight)


def _spans(
    template: Template, example: ChatExample, turns: Sequence[int], ids: list[int]
) -> list[tuple[int, int]]:
    """Where each assistant turn lies in the rendered chat, by the template's tags if they say so for every turn."""
    if template.marks_answers(example.tools):
        tagged = _runs(template.answer_mask(example.messages, example.tools))
        if len(tagged) == len(turns):
            return tagged
    return [_prefix_span(template, example, turn, ids) for turn in turns]


def _runs(mask: Sequence[int]) -> list[tuple[int, int]]:
    edges = [
        at for at in range(len(mask) + 1) if bool(at < len(mask) and mask[at]) != bool(at and mask[at - 1])
    ]
    return list(zip(edges[::2], edges[1::2], strict=True))


def _with_stop(ids: Sequence[int], start: int, end: int, stops: frozenset[int]) -> int:
    """End of a target span: just behind its stop token, be that inside, or the token that follows."""
    for at in range(end - 1, start - 1, -1):
        if ids[at] in stops:
            return at + 1
    return end + 1 if end < len(ids) and ids[end] in stops else end


def _prefix_span(template: Template, example: ChatExample, turn: int, ids: list[int]) -> tuple[int, int]:
    """Where an assistant turn lies in the rendered chat, found by rendering the chat up to it."""
    messages, tools = example.messages, example.tools
    before = template.ids(messages[:turn], tools, generation_prompt=True) if turn else _opening(template, ids)
    start = len(before)
    if ids[:start] != before:
        raise _ambiguous(turn)
    is_last = turn == len(messages) - 1
    upto = ids if is_last else template.ids(messages[: turn + 1], tools, generation_prompt=False)
    if ids[: len(upto)] == upto and len(upto) > start:
        return start, len(upto)
    # Templates that rewrite history (reasoning is dropped from earlier turns) still end each turn with its token.
    end = template.end_of_turn
    if end is None or end not in ids[start:]:
        raise _ambiguous(turn)
    return start, ids.index(end, start) + 1


def _opening(template: Template, ids: list[int]) -> list[int]:
    """What stands before the first answer of a chat that begins with one: up to the words that open any answer.

    No chat can be rendered up to there, because templates write none without messages.
    """
    question = (Message(role="user", content="a"),)
    asked, said = (template.ids(question, (), generation_prompt=prompt) for prompt in (True, False))
    opens = asked[len(said) :] if asked[: len(said)] == said else []
    for at in range(len(ids) - len(opens) + 1):
        if ids[at : at + len(opens)] == opens:
            return ids[: at + len(opens)]
    raise _ambiguous(0)


def _ambiguous(turn: int) -> DataError:
    return DataError(
        f"message {turn}: the chat rendered up to this turn is not a prefix of the whole, so its tokens cannot be told",
        field=f"messages[{turn}]",
        hint="add {% generation %} tags to the model's chat template, or make each answer an example of its own",
    )


def _require_tools(example: ChatExample, text: str) -> None:
    for at, tool in enumerate(example.tools):
        name = str(tool.get("function", tool).get("name", ""))
        if name not in text:
            raise DataError(
                f"the model's chat template leaves out the tool {name!r}",
                field=f"tools[{at}]",
                hint="use a model whose template knows tools, or describe them in a system message",
            )


def _require_calls(template: Template, example: ChatExample, turn: int, ids: Sequence[int]) -> None:
    calls = example.messages[turn].tool_calls
    written = template.tokenizer.decode(list(ids)) if calls else ""
    for call in calls:
        if call.name not in written:
            raise DataError(
                f"message {turn}: the model's chat template leaves out the call of {call.name!r}",
                field=f"messages[{turn}].tool_calls",
                hint="use a model whose template knows tool calls, or write the call into the content",
            )
