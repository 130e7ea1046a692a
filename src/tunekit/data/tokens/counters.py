"""Counting the tokens of examples: exactly where the target's vocabulary is on this machine, else by estimate.

Knows tiktoken's encodings and its cache, and never goes to the network: tiktoken would fetch a missing vocabulary,
without a time limit. Knows no model's own tokenizer; whoever has one passes a `TokenCounter` that uses it.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple, Protocol, TypeAlias, runtime_checkable

from tunekit.data.profiles import Profile
from tunekit.data.tokens.estimate import estimated_tokens
from tunekit.data.wording import brief
from tunekit.errors import SpecError
from tunekit.examples import (
    ChatExample,
    CompletionExample,
    Example,
    LabelledExample,
    Message,
    PreferenceExample,
    PromptExample,
    SegmentsExample,
)

PromptFormat: TypeAlias = Literal["chat", "text"]

TOKENS_PER_MESSAGE = 3
"""What OpenAI's chat format adds to each message, and once more for the answer: its cookbook's figure. Approximate."""
TOKENS_PER_NAME = 1

# tiktoken 0.14 (tiktoken_ext/openai_public.py): file under .../encodings/, and the SHA-256 that it is checked against.
_VOCABULARIES: Mapping[str, tuple[str, str]] = {
    "o200k_base": ("o200k_base", "446a9538cb6c348e3516120d7c08b09f57c36495e2acfffe59a5bf8b0cfb1a2d"),
    "o200k_harmony": ("o200k_base", "446a9538cb6c348e3516120d7c08b09f57c36495e2acfffe59a5bf8b0cfb1a2d"),
    "cl100k_base": ("cl100k_base", "223921b76ee99bde995b7ff738513eef100fb51d18c93597a113bcffe865b2a7"),
    "p50k_base": ("p50k_base", "94b5ca7dff4d00767bc256fdd1b27e5b17361d7b8a5f968547f9f23eb70d2069"),
    "r50k_base": ("r50k_base", "306cd27f03c1a714eca7108e03d66b7dc042abe8c258b44c199a7ed9838dd930"),
}
_FETCH = "python -c \"import tiktoken; tiktoken.get_encoding('{}')\""
_SOURCE = "https://openaipublic.blob.core.windows.net/encodings/{}.tiktoken"
# tiktoken's regular expressions run out of stack on some texts of a million characters (seen with spaces).
_SLICE_CHARS = 100_000


class RowTokens(NamedTuple):
    """The tokens of one row.

    Attributes:
        total: All that are processed: a preference counts its conversation twice.
        learned: Those that the model is trained to say.
        longest: The longest sequence, which is what has to fit into the context.
    """

    total: int
    learned: int
    longest: int


@runtime_checkable
class TokenCounter(Protocol):
    """Counts the tokens of a row."""

    @property
    def name(self) -> str:
        """What counts, such as "o200k_base"."""

    @property
    def is_estimate(self) -> bool:
        """Whether it guesses."""

    @property
    def says(self) -> str:
        """How it counts, and what to do to get better numbers; for reports."""

    def __call__(self, example: Example) -> RowTokens:
        """The tokens of this row."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TextCounter:
    """A `TokenCounter` that counts text by text and adds what a chat format puts around them.

    Attributes:
        name: What counts.
        tokens_of: Tokens of one text; at most one for each byte.
        prompt_format: "chat" adds `TOKENS_PER_MESSAGE` around a prompt and its completion, "text" nothing.
        is_estimate: Whether `tokens_of` guesses.
        says: For reports.

    Examples:
        >>> counter = TextCounter(name="words", tokens_of=lambda text: len(text.split()), prompt_format="text")
        >>> counter(CompletionExample(prompt="How are", completion="you")).learned
        1
    """

    name: str
    tokens_of: Callable[[str], int]
    prompt_format: PromptFormat = "chat"
    is_estimate: bool = False
    says: str = ""

    def __call__(self, example: Example) -> RowTokens:
        """The tokens of this row."""
        return _row(example, self.tokens_of, TOKENS_PER_MESSAGE if self.prompt_format == "chat" else 0)

    def at_most(self, example: Example) -> int:
        """A bound on `longest` that costs no tokenizing: no token is shorter than a byte."""
        return _row(example, _bytes_of, TOKENS_PER_MESSAGE).longest


def counter_for(profile: Profile | None = None, *, prompt_format: PromptFormat = "chat") -> TextCounter:
    """The best counter for a target that can be had without the network.

    Args:
        profile: Rules of the target, whose tokenizer and prompt format are taken; None counts as for gpt-4.1.
        prompt_format: Where no target is named.
    """
    tokenizer = "o200k_base" if profile is None else profile.tokenizer
    prompt_format = prompt_format if profile is None else profile.prompt_format
    if tokenizer is not None and is_available(tokenizer):
        return _by_tiktoken(tokenizer, prompt_format)
    return TextCounter(
        name=f"estimate of {tokenizer}" if tokenizer else "estimate",
        tokens_of=lambda text: estimated_tokens(text, tokenizer),
        prompt_format=prompt_format,
        is_estimate=True,
        says=_instruction(tokenizer, profile),
    )


def checked_counter(counter: TokenCounter | None) -> TokenCounter | None:
    """The counter that a caller passed.

    Raises:
        SpecError: It is none.
    """
    if counter is None or isinstance(counter, TokenCounter):
        return counter
    raise SpecError(
        f"counter is {brief(counter)}, which is no TokenCounter",
        hint="pass tunekit.data.tokens.TextCounter(name=..., tokens_of=...), or None",
    )


def is_available(tokenizer: str) -> bool:
    """Whether tiktoken can give this encoding without the network: it is loaded, or its file lies whole in the cache.

    A file in the cache that is not what tiktoken expects is not used: tiktoken would delete it and fetch another.
    """
    from tiktoken import registry

    if tokenizer in registry.ENCODINGS:
        return True
    path = cache_path(tokenizer)
    if path is None or not path.is_file():
        return False
    try:
        found = hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError:
        return False
    return found == _VOCABULARIES[tokenizer][1]


def cache_path(tokenizer: str) -> Path | None:
    """Where tiktoken looks for the encoding before it goes to the network; None where it would not look anywhere."""
    if tokenizer not in _VOCABULARIES:
        return None
    folder = os.environ.get("TIKTOKEN_CACHE_DIR", os.environ.get("DATA_GYM_CACHE_DIR"))
    if folder == "":
        return None
    source = _SOURCE.format(_VOCABULARIES[tokenizer][0])
    name = hashlib.sha1(source.encode(), usedforsecurity=False).hexdigest()
    return Path(folder or Path(tempfile.gettempdir(), "data-gym-cache"), name)


def _instruction(tokenizer: str | None, profile: Profile | None) -> str:
    if tokenizer is not None:
        about = "estimated from the characters (off by about 5 % as a rule, 28 % at worst)"
        return f"{about}; to count, run once with a network: {_FETCH.format(tokenizer)}"
    about = "estimated from the characters, as for o200k_base"
    if profile is not None and profile.name == "local":
        return f"{about}; the model's own tokenizer counts when it is trained"
    return f"{about}; the target's tokenizer is not known here"


def _by_tiktoken(tokenizer: str, prompt_format: PromptFormat) -> TextCounter:
    import tiktoken

    encode = tiktoken.get_encoding(tokenizer).encode_ordinary
    return TextCounter(
        name=tokenizer,
        tokens_of=lambda text: encoded_tokens(text, encode),
        prompt_format=prompt_format,
        says=f"counted by tiktoken; {TOKENS_PER_MESSAGE} more for each message of a chat, which is approximate",
    )


def encoded_tokens(text: str, encode: Callable[[str], Sequence[int]]) -> int:
    """Tokens of a text by a tiktoken encoding's `encode_ordinary`; very long texts are counted in slices."""
    if len(text) <= _SLICE_CHARS:
        return len(encode(text))
    starts = range(0, len(text), _SLICE_CHARS)
    return sum(len(encode(text[start : start + _SLICE_CHARS])) for start in starts)


# --- rows ---------------------------------------------------------------------------------------------


def _row(example: Example, tokens_of: Callable[[str], int], overhead: int) -> RowTokens:
    if isinstance(example, CompletionExample):
        return _pair(tokens_of(example.prompt), tokens_of(example.completion), overhead)
    if isinstance(example, LabelledExample):
        labels = [example.label] if isinstance(example.label, str) else example.label
        return _pair(tokens_of(example.text), sum(map(tokens_of, labels)), overhead)
    if isinstance(example, SegmentsExample):
        counts = [(tokens_of(segment.text), segment.learn) for segment in example.segments]
        total = sum(count for count, _ in counts)
        return RowTokens(total, sum(count for count, learn in counts if learn), total)
    # From here on a chat template writes the row, whatever the format of plain prompts.
    total, learned = _turns(example.messages, tokens_of)
    total += TOKENS_PER_MESSAGE + _tool_tokens(example.tools, tokens_of)
    if isinstance(example, ChatExample):
        return RowTokens(total, learned, total)
    if isinstance(example, PromptExample):
        return RowTokens(total, 0, total)
    if isinstance(example, PreferenceExample):
        good, bad = _answer(example.chosen, tokens_of), _answer(example.rejected, tokens_of)
        return RowTokens(2 * total + good + bad, good, total + max(good, bad))
    answer = _answer(example.completion, tokens_of)
    return RowTokens(total + answer, answer, total + answer)


def _pair(prompt: int, answer: int, overhead: int) -> RowTokens:
    total = prompt + answer + (3 * overhead if prompt else overhead)
    return RowTokens(total, answer, total)


def _answer(said: str | tuple[Message, ...], tokens_of: Callable[[str], int]) -> int:
    return tokens_of(said) if isinstance(said, str) else _turns(said, tokens_of)[0]


def _turns(turns: Sequence[Message], tokens_of: Callable[[str], int]) -> tuple[int, int]:
    """All tokens of the turns, and those that are learned."""
    total = learned = 0
    for turn in turns:
        said = sum(map(tokens_of, _said(turn)))
        total += said + TOKENS_PER_MESSAGE
        if turn.name is not None:
            total += tokens_of(turn.name) + TOKENS_PER_NAME
        if turn.role == "assistant" and turn.weight:
            learned += said
    return total, learned


def _said(turn: Message) -> list[str]:
    said = [text for text in (turn.reasoning, turn.content) if text]
    for call in turn.tool_calls:
        said += [call.name, call.arguments]
    return said


def _tool_tokens(tools: Sequence[Mapping[str, Any]], tokens_of: Callable[[str], int]) -> int:
    return sum(tokens_of(json.dumps(dict(tool), ensure_ascii=False, default=str)) for tool in tools)


def _bytes_of(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode(errors="surrogatepass"))
