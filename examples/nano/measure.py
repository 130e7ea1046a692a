"""Loss of a finished model on held-out rows, and what it answers. Reads the published bf16 weights; trains nothing."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from nano.tokenizer import CONTEXT

PROMPTS = (
    "Hello!",
    "What does generous mean?",
    "What is another word for quick?",
    "What is the opposite of hot?",
    "Use the word window in a sentence.",
    "What kind of thing is a violin?",
    "What is a refund?",
    "Tom has 3 apples and buys 4 more. How many apples does he have?",
    "My parcel has not arrived. What should I do?",
)


def measure(folder: Path, chats: list[dict[str, Any]], prose: list[dict[str, Any]]) -> dict[str, Any]:
    """Mean loss per target token in nats, perplexity and bits per byte, and greedy answers.

    Chats count the assistant's tokens only, end of turn included; prose counts every token but the first. Bits per byte
    are of text alone: an end of turn or of text is no byte of it, and its loss is left out there. Rows that do not fit
    the context are not measured; `rows` counts those that are, `too_long` those that are not.

    Args:
        folder: A model directory.
        chats: Rows with `messages`.
        prose: Rows with `completion`.
    """
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    with torch.inference_mode():
        return {
            "chat": _loss(model, tokenizer, [_chat(row, tokenizer) for row in chats]),
            "prose": _loss(model, tokenizer, [_prose(row, tokenizer) for row in prose]),
            "samples": [(prompt, _answer(model, tokenizer, prompt)) for prompt in PROMPTS],
        }


def _chat(row: dict[str, Any], tokenizer: Any) -> tuple[list[int], list[int]]:
    found = tokenizer.apply_chat_template(
        row["messages"],
        return_dict=True,
        return_assistant_tokens_mask=True,
        tokenizer_kwargs={"verbose": False},
    )
    return found["input_ids"], found["assistant_masks"]


def _prose(row: dict[str, Any], tokenizer: Any) -> tuple[list[int], list[int]]:
    ids = [*tokenizer(row["completion"], verbose=False)["input_ids"], tokenizer.eos_token_id]
    return ids, [1] * len(ids)


def _loss(model: Any, tokenizer: Any, rows: list[tuple[list[int], list[int]]]) -> dict[str, float]:
    import torch

    special = torch.tensor(sorted(tokenizer.all_special_ids))
    fitting = [(ids, mask) for ids, mask in rows if len(ids) <= CONTEXT]
    total, of_text, tokens, size = 0.0, 0.0, 0, 0
    for ids, mask in fitting:
        logits = model(torch.tensor([ids])).logits[0, :-1]
        chosen = torch.tensor(mask[1:], dtype=torch.bool)
        labels = torch.tensor(ids[1:])[chosen]
        losses = torch.nn.functional.cross_entropy(logits[chosen], labels, reduction="none")
        text = ~torch.isin(labels, special)
        total += float(losses.sum())
        of_text += float(losses[text].sum())
        tokens += len(labels)
        # In byte-level BPE a piece has one character for each byte, even where it is part of a character of the text.
        size += sum(map(len, tokenizer.convert_ids_to_tokens(labels[text].tolist())))
    return {
        "rows": len(fitting),
        "too_long": len(rows) - len(fitting),
        "tokens": tokens,
        "loss": total / tokens,
        "perplexity": math.exp(total / tokens),
        "bits_per_byte": of_text / math.log(2) / size,
    }


def _answer(model: Any, tokenizer: Any, prompt: str) -> str:
    chat = [{"role": "user", "content": prompt}]
    start = tokenizer.apply_chat_template(
        chat, add_generation_prompt=True, return_dict=True, return_tensors="pt"
    )
    ids = model.generate(**start, max_new_tokens=60, do_sample=False)
    return str(tokenizer.decode(ids[0, start["input_ids"].shape[1] :], skip_special_tokens=True)).strip()
