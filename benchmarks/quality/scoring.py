"""What a tuned model is worth on held-out rows, one number per row. It knows tensors; not how the model was trained.

All arms are measured by this code, in fp32, from the same tokens. Accuracy is 1 or 0; a loss is the mean over the
tokens of an answer, in nats, the token that ends it included. Both are returned so that more is better.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tunekit.examples import CompletionExample, Example, LabelledExample

ROWS_AT_ONCE = 16


def of_classifier(model: Any, tokenizer: Any, names: Sequence[str], rows: Sequence[Example]) -> list[float]:
    """1 for each row whose class is the likeliest, else 0."""
    import torch

    found: list[float] = []
    labelled = [row for row in rows if isinstance(row, LabelledExample)]
    for batch in _batches(labelled):
        texts = tokenizer(
            [row.text for row in batch], padding=True, truncation=True, max_length=256, return_tensors="pt"
        )
        with torch.inference_mode():
            likeliest = model(**texts).logits.argmax(dim=-1).tolist()
        found += [float(names[at] == row.label) for at, row in zip(likeliest, batch, strict=True)]
    return found


def of_language_model(
    model: Any, tokenizer: Any, rows: Sequence[Example], choices: Sequence[str]
) -> list[float]:
    """Of rows with choices, whether the right one is the likeliest; of others, minus the loss per token."""
    if not choices:
        return [total / tokens for total, tokens in log_likelihoods(model, tokenizer, rows)]
    asked = [row for row in rows if isinstance(row, CompletionExample)]
    said = [row.replace(completion=choice) for row in asked for choice in choices]
    totals = [total for total, _ in log_likelihoods(model, tokenizer, said)]
    found = []
    for at, row in enumerate(asked):
        mine = totals[at * len(choices) : (at + 1) * len(choices)]
        found.append(float(choices[mine.index(max(mine))] == row.completion))
    return found


def log_likelihoods(model: Any, tokenizer: Any, rows: Sequence[Example]) -> list[tuple[float, int]]:
    """Log-probability of each row's answer, in all, and the number of its tokens."""
    import torch

    found: list[tuple[float, int]] = []
    for batch in _batches(tokenised(tokenizer, rows)):
        width = max(len(row.ids) for row in batch)
        ids = torch.tensor([[*row.ids, *[0] * (width - len(row.ids))] for row in batch])
        learned = torch.tensor(
            [[*(weight != 0 for weight in row.weights), *[False] * (width - len(row.ids))] for row in batch]
        )
        mask = torch.tensor([[1] * len(row.ids) + [0] * (width - len(row.ids)) for row in batch])
        with torch.inference_mode():
            logits = model(input_ids=ids, attention_mask=mask, use_cache=False).logits[:, :-1].float()
        each = logits.log_softmax(dim=-1).gather(-1, ids[:, 1:, None])[..., 0] * learned[:, 1:]
        found += list(zip(each.sum(dim=1).tolist(), learned[:, 1:].sum(dim=1).tolist(), strict=True))
    return found


def tokenised(tokenizer: Any, rows: Sequence[Example]) -> list[Any]:
    """Rows as ids with weights, as tunekit writes them for this model; every peer is given these, too."""
    from tunekit.training.texts.render import render_example

    return [render_example(tokenizer, row, "auto") for row in rows]


def _batches(rows: Sequence[Any]) -> list[Sequence[Any]]:
    return [rows[at : at + ROWS_AT_ONCE] for at in range(0, len(rows), ROWS_AT_ONCE)]
