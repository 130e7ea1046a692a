"""What may be asked of a model: bodies of chat completions, completions and embeddings. Knows fields; asks no model."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, JsonValue

from tunekit.backends.base import GenerateRequest
from tunekit.data import messages as chats
from tunekit.data.wording import brief
from tunekit.errors import DataError
from tunekit.server.limits import Limits
from tunekit.server.problems import invalid, unsupported
from tunekit.server.reading import Body
from tunekit.server.recipes import Id, Metadata
from tunekit.spec import Sampling

_STOPS = 16
_MESSAGES = 10_000
_TOOLS = 128
_COMPLETION_TOKENS = 16
"""Of a completion whose length nobody said, as at the original."""
Stop = Annotated[str, Field(min_length=1, max_length=1024)]


class Function(Body):
    """What a tool does."""

    name: Annotated[str, Field(min_length=1, max_length=256)]
    description: str | None = None
    parameters: dict[str, JsonValue] | None = None
    strict: bool | None = None


class Tool(Body):
    """A tool that an answer may call."""

    type: Literal["function"]
    function: Function


class StreamOptions(Body):
    """What a stream tells besides the answer."""

    include_usage: bool = False
    include_obfuscation: bool | None = None


class Drawing(Body):
    """How answers are drawn; what chat completions and completions share.

    What has no meaning here and changes no answer (`user`, `metadata` and the like) is taken and left alone; what would
    change one is refused unless it is at its default.
    """

    text_param: ClassVar[str] = ""
    """Where the text is that a model may find too long."""

    model: Id
    n: Annotated[int, Field(ge=1)] | None = None
    max_tokens: Annotated[int, Field(ge=1)] | None = None
    temperature: Annotated[int | float, Field(ge=0, le=2)] | None = None
    top_p: Annotated[int | float, Field(ge=0, le=1)] | None = None
    seed: int | None = None
    stop: Stop | Annotated[list[Stop], Field(max_length=_STOPS)] | None = None
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    frequency_penalty: int | float | None = None
    presence_penalty: int | float | None = None
    logit_bias: dict[str, JsonValue] | None = None
    user: str | None = None

    def answer_tokens(self) -> int | None:
        """The longest answer asked for."""
        return self.max_tokens

    def unsaid_tokens(self, limits: Limits) -> int:
        """The longest answer where the request does not say."""
        return limits.default_answer_tokens

    def require_sense(self, limits: Limits) -> None:
        """Refuse what is not done here.

        Raises:
            HTTPException: Naming the parameter.
        """
        for name in ("frequency_penalty", "presence_penalty"):
            if getattr(self, name):
                raise unsupported(name, f"'{name}' is not supported; leave it at 0.")
        if self.logit_bias:
            raise unsupported("logit_bias", "'logit_bias' is not supported.")
        if self.choices > limits.choices:
            raise invalid(f"Invalid value for 'n': at most {limits.choices}.", param="n")
        if self.stream and self.choices > 1:
            raise unsupported("n", "A stream has one choice.")
        for name in ("max_tokens", "max_completion_tokens"):
            if (getattr(self, name, None) or 0) > limits.answer_tokens:
                said = f"An answer may have at most {limits.answer_tokens} tokens."
                raise invalid(said, param=name, code="invalid_value")

    @property
    def choices(self) -> int:
        """How many answers to each prompt."""
        return self.n or 1

    @property
    def reports_usage(self) -> bool:
        """Whether a stream ends with what it consumed."""
        return self.stream_options is not None and self.stream_options.include_usage

    def sampling(self, limits: Limits) -> Sampling:
        """How answers are drawn: at temperature 1, and every time anew, unless the request says otherwise."""
        stop = self.stop or ()
        return Sampling(
            max_tokens=self.answer_tokens() or min(self.unsaid_tokens(limits), limits.answer_tokens),
            temperature=1.0 if self.temperature is None else float(self.temperature),
            # A nucleus of 0 holds the likeliest token only, as any that is too small for another.
            top_p=1.0 if self.top_p is None else max(float(self.top_p), 1e-6),
            seed=secrets.randbelow(2**31) if self.seed is None else self.seed % 2**63,
            stop=(stop,) if isinstance(stop, str) else tuple(stop),
        )

    def seeds(self) -> list[int | None]:
        """Seeds of the answers to one prompt: each another, or all would be the same."""
        first = secrets.randbelow(2**31) if self.seed is None else self.seed % 2**62
        return [None] if self.choices == 1 else [first + at for at in range(self.choices)]


class ChatBody(Drawing):
    """The body of POST /chat/completions."""

    text_param: ClassVar[str] = "messages"

    messages: Annotated[list[dict[str, JsonValue]], Field(min_length=1, max_length=_MESSAGES)]
    max_completion_tokens: Annotated[int, Field(ge=1)] | None = None
    tools: Annotated[list[Tool], Field(max_length=_TOOLS)] | None = None
    tool_choice: str | dict[str, JsonValue] | None = None
    parallel_tool_calls: bool | None = None
    response_format: dict[str, JsonValue] | None = None
    logprobs: bool | None = None
    top_logprobs: int | None = None
    store: bool | None = None
    metadata: Metadata | None = None
    service_tier: str | None = None
    safety_identifier: str | None = None
    prompt_cache_key: str | None = None
    reasoning_effort: str | None = None
    modalities: Annotated[list[Literal["text"]], Field(max_length=1)] | None = None
    verbosity: Literal["low", "medium", "high"] | None = None
    prediction: dict[str, JsonValue] | None = None
    prompt_cache_retention: str | None = None
    audio: dict[str, JsonValue] | None = None
    web_search_options: dict[str, JsonValue] | None = None
    functions: Annotated[list[dict[str, JsonValue]], Field(max_length=_TOOLS)] | None = None
    function_call: str | dict[str, JsonValue] | None = None

    def answer_tokens(self) -> int | None:
        """The longest answer asked for, under either name."""
        return self.max_completion_tokens or self.max_tokens

    def require_sense(self, limits: Limits) -> None:
        """As `Drawing.require_sense`."""
        super().require_sense(limits)
        if self.response_format and self.response_format.get("type") != "text":
            raise unsupported("response_format", "Answers are not bound to a format here.")
        for name in ("logprobs", "top_logprobs"):
            if getattr(self, name):
                raise unsupported(name, "Log-probabilities are not given; leave 'logprobs' out.")
        if self.reasoning_effort not in (None, "none"):
            raise unsupported("reasoning_effort", "How long a model thinks is not set here.")
        if self.verbosity not in (None, "medium"):
            raise unsupported("verbosity", "How much a model says is not set here; leave 'verbosity' out.")
        for name in ("audio", "web_search_options"):
            if getattr(self, name) is not None:
                raise unsupported(name, f"'{name}' is not supported; answers are text of the model's own.")
        for name in ("functions", "function_call"):
            if getattr(self, name) not in (None, "none", []):
                raise unsupported(name, f"'{name}' is the older form of tools; send 'tools'.")
        if self.tool_choice not in (None, "auto", "none"):
            raise unsupported("tool_choice", "A tool cannot be forced; use 'auto' or 'none'.")

    def prompts(self) -> list[GenerateRequest]:
        """The chat, once for each choice.

        Raises:
            HTTPException: It is not one, or is more than text.
        """
        try:
            turns = chats.conversation([_as_text(item, at) for at, item in enumerate(self.messages)])
        except DataError as error:
            raise invalid(f"{error.field}: {error.message}", param=error.field) from None
        given = self.tools if self.tools and self.tool_choice != "none" else ()
        tools = tuple(tool.model_dump(exclude_unset=True) for tool in given)
        return [GenerateRequest(prompt=turns, tools=tools, seed=seed) for seed in self.seeds()]


def _as_text(message: dict[str, JsonValue], at: int) -> dict[str, JsonValue]:
    """A message of a chat that is to be answered, with what an assistant refused to say as what it said.

    Raises:
        HTTPException: It has what no model of this server reads.
    """
    if message.get("role") == "function":
        param = f"messages[{at}].role"
        raise unsupported(param, "The role 'function' is the older form of 'tool', which has a tool_call_id.")
    content, refusal = message.get("content"), message.get("refusal")
    if refusal and not content:
        return {**message, "content": refusal, "refusal": None}
    if not isinstance(content, list):
        return message
    parts = [_text_part(part, f"messages[{at}].content[{place}]") for place, part in enumerate(content)]
    return {**message, "content": parts}


def _text_part(part: JsonValue, param: str) -> JsonValue:
    kind = part.get("type") if isinstance(part, dict) else None
    if isinstance(part, dict) and kind == "refusal":
        return {"type": "text", "text": part.get("refusal")}
    if isinstance(kind, str) and kind != "text":
        raise unsupported(param, f"Models of this server read text, and this is of type {brief(kind)}.")
    return part


class CompletionBody(Drawing):
    """The body of POST /completions."""

    text_param: ClassVar[str] = "prompt"

    prompt: str | Annotated[list[Any], Field(min_length=1)]
    echo: bool | None = None
    suffix: str | None = None
    logprobs: int | None = None
    best_of: int | None = None

    def unsaid_tokens(self, limits: Limits) -> int:
        """As `Drawing.unsaid_tokens`."""
        return _COMPLETION_TOKENS

    def require_sense(self, limits: Limits) -> None:
        """As `Drawing.require_sense`."""
        super().require_sense(limits)
        _require_texts("prompt", self.texts)
        for name in ("echo", "suffix", "logprobs"):
            if getattr(self, name):
                raise unsupported(name, f"'{name}' is not supported.")
        if self.best_of not in (None, 1, self.choices):
            raise unsupported("best_of", "Answers are not ranked; leave 'best_of' out.")
        if len(self.texts) * self.choices > limits.choices:
            raise invalid(f"At most {limits.choices} answers in one request.", param="prompt")
        if self.stream and len(self.texts) > 1:
            raise unsupported("prompt", "A stream has one prompt.")

    @property
    def texts(self) -> Sequence[str]:
        """The prompts."""
        return [self.prompt] if isinstance(self.prompt, str) else self.prompt

    def prompts(self, *, continues: bool) -> list[GenerateRequest]:
        """Each prompt, once for each choice; `continues` as in `GenerateRequest`."""
        return [
            GenerateRequest(prompt=text, seed=seed, continues=continues)
            for text in self.texts
            for seed in self.seeds()
        ]


class EmbeddingBody(Body):
    """The body of POST /embeddings."""

    model: Id
    input: str | Annotated[list[Any], Field(min_length=1)]
    encoding_format: Literal["float", "base64"] = "float"
    dimensions: int | None = None
    user: str | None = None

    def texts(self, limits: Limits) -> list[str]:
        """What is to be embedded.

        Raises:
            HTTPException: It is not text, or too much.
        """
        if self.dimensions is not None:
            raise unsupported("dimensions", "Vectors have the model's own length.")
        texts = [self.input] if isinstance(self.input, str) else self.input
        if len(texts) > limits.texts:
            raise invalid(f"At most {limits.texts} texts in one request.", param="input")
        _require_texts("input", texts)
        if not all(texts):
            raise invalid("Invalid value for 'input': a text is empty.", param="input")
        return texts


def _require_texts(param: str, texts: Sequence[Any]) -> None:
    if not all(isinstance(text, str) for text in texts):
        raise unsupported(param, "Send texts: tokens of another model mean nothing here.")
