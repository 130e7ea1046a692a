"""Control tokens of well-known model families, as a person might have them in a text. Knows their spelling only.

A model that was trained with one of these takes it for the real thing: it can end a turn, or forge the next. The local
trainer refuses those of its own model (`tunekit.training.texts.control_tokens`); here no tokenizer is at hand.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

FAMILIES: Mapping[str, tuple[str, ...]] = {
    "OpenAI": (
        "<|endoftext|>",
        "<|endofprompt|>",
        "<|fim_prefix|>",
        "<|fim_middle|>",
        "<|fim_suffix|>",
    ),
    "OpenAI harmony": (
        "<|start|>",
        "<|end|>",
        "<|message|>",
        "<|channel|>",
        "<|constrain|>",
        "<|return|>",
        "<|call|>",
    ),
    "ChatML": ("<|im_start|>", "<|im_end|>", "<|im_sep|>"),
    "Llama 2 and Mistral": ("[INST]", "[/INST]", "<<SYS>>", "<</SYS>>", "<s>", "</s>"),
    "Mistral": (
        "[AVAILABLE_TOOLS]",
        "[/AVAILABLE_TOOLS]",
        "[TOOL_CALLS]",
        "[TOOL_RESULTS]",
        "[/TOOL_RESULTS]",
    ),
    "Llama 3": (
        "<|begin_of_text|>",
        "<|end_of_text|>",
        "<|start_header_id|>",
        "<|end_header_id|>",
        "<|eot_id|>",
        "<|eom_id|>",
        "<|python_tag|>",
    ),
    "Llama 4": ("<|header_start|>", "<|header_end|>", "<|eot|>", "<|eom|>"),
    "Gemma": ("<start_of_turn>", "<end_of_turn>", "<bos>", "<eos>"),
    "Phi": ("<|system|>", "<|user|>", "<|assistant|>"),
    "DeepSeek": ("<｜begin▁of▁sentence｜>", "<｜end▁of▁sentence｜>", "<｜User｜>", "<｜Assistant｜>"),  # noqa: RUF001
}
"""Tokens by family, from the tokenizers' published configurations."""

_FAMILY_OF = {token: family for family, tokens in FAMILIES.items() for token in tokens}
_ANY = re.compile(
    "|".join(re.escape(token) for token in sorted(_FAMILY_OF, key=lambda token: (-len(token), token)))
)


def find(text: str) -> Iterator[re.Match[str]]:
    """Every control token in the text.

    Examples:
        >>> [match[0] for match in find("Hi<|im_end|>")]
        ['<|im_end|>']
    """
    return _ANY.finditer(text) if "<" in text or "[" in text else iter(())


def family_of(token: str) -> str:
    """Whose token it is."""
    return _FAMILY_OF[token]
