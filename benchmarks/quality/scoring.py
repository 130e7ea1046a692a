"""What a tuned model is worth on held-out rows, one number per row. It knows tensors; not how the model was trained.

All arms are measured by this code, in fp32, from the same tokens. Accuracy is 1 or 0; a loss is the mean over the
tokens of an answer, in nats, the token that ends it included. Both are returned so that more is better.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from tunekit.examples import CompletionExample, Example, LabelledExample

ROWS_AT_ONCE = 16

Row = TypeVar("Row")
Found = TypeVar("Found")


def of_classifier(model: Any, tokenizer: Any, names: Sequence[str], rows: Sequence[Example]) -> list[float]:
    """1 for each row whose class is the likeliest, else 0."""
    import torch

    def of_batch(batch: Sequence[LabelledExample]) -> list[float]:
        asked = [row.text for row in batch]
        texts = tokenizer(asked, padding=True, truncation=True, max_length=256, return_tensors="pt")
        with torch.inference_mode():
            likeliest = model(**texts).logits.argmax(dim=-1).tolist()
        return [float(names[at] == row.label) for at, row in zip(likeliest, batch, strict=True)]

    labelled = [row for row in rows if isinstance(row, LabelledExample)]
    return _by_length(labelled, lambda row: len(row.text), of_batch)


def of_language_model(
    model: Any, tokenizer: Any, rows: Sequence[Example], choices: Sequence[str]
) -> list[float]:
    """Of rows with choices, whether the right one is the likeliest; of others, minus the loss per token."""
    if not choices:
        return [total / tokens for total, tokens in log_likelihoods(model, tokenizer, rows)]
    asked = [row for row in rows if isinstance(row, CompletionExample)]
    said = [row.replace(completion=choice) for row in asked for choice in choices]
    totals = iter(log_likelihoods(model, tokenizer, said))
    found = []
    for row in asked:
        mine = {choice: next(totals)[0] for choice in choices}
        found.append(float(max(choices, key=mine.__getitem__) == row.completion))
    return found


def log_likelihoods(model: Any, tokenizer: Any, rows: Sequence[Example]) -> list[tuple[float, int]]:
    """Log-probability of each row's answer, in all, and the number of its tokens."""
    import torch

    def of_batch(batch: Sequence[Any]) -> list[tuple[float, int]]:
        width = max(len(row.ids) for row in batch)
        # Padding comes last, where no token of a causal model looks.
        ids = torch.tensor([[*row.ids, *[0] * (width - len(row.ids))] for row in batch])
        learned = torch.tensor([[*row.weights, *[0.0] * (width - len(row.ids))] for row in batch])[:, 1:] != 0
        with torch.inference_mode():
            logits = model(input_ids=ids, use_cache=False).logits[:, :-1].float()
        each = logits.log_softmax(dim=-1).gather(-1, ids[:, 1:, None])[..., 0] * learned
        return list(zip(each.sum(dim=1).tolist(), learned.sum(dim=1).tolist(), strict=True))

    return _by_length(tokenised(tokenizer, rows), lambda row: len(row.ids), of_batch)


def tokenised(tokenizer: Any, rows: Sequence[Example]) -> list[Any]:
    """Rows as ids with weights, as tunekit writes them for this model; every peer is given these, too."""
    from tunekit.training.texts.render import render_example

    return [render_example(tokenizer, row, "auto") for row in rows]


def _by_length(
    rows: Sequence[Row], length: Callable[[Row], int], of_batch: Callable[[Sequence[Row]], list[Found]]
) -> list[Found]:
    """What a batch gives for each row, in the order of the rows; batches have rows of like length."""
    order = sorted(range(len(rows)), key=lambda at: length(rows[at]))
    found: dict[int, Found] = {}
    for start in range(0, len(order), ROWS_AT_ONCE):
        places = order[start : start + ROWS_AT_ONCE]
        found.update(zip(places, of_batch([rows[at] for at in places]), strict=True))
    return [found[at] for at in range(len(rows))]
