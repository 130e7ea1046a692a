"""What is known before the first step, and what would make it pointless. Knows tokens and plans; runs no model.

Fail here rather than warn: a run whose answers were cut, or whose model never learns to stop, looks like a success.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tunekit.errors import DataError
from tunekit.training.recipe import Recipe
from tunekit.training.render import Tokens
from tunekit.training.template import Tokenizer

_NAMED = 10
_SAMPLE_CHARACTERS = 1500


def with_target(examples: Sequence[Tokens], *, part: str) -> list[Tokens]:
    """The examples that have something to learn, in order.

    Raises:
        DataError: There is none; the message names the part of the data.
    """
    kept = [example for example in examples if example.target_count]
    if not kept:
        raise DataError(
            f"none of {len(examples)} {part} rows has a token to learn",
            hint="chat rows need an assistant message whose weight is not 0; completion rows need a completion",
        )
    return kept


def refuse_longer(examples: Sequence[Tokens], *, max_length: int, part: str) -> None:
    """Nothing is ever cut.

    Raises:
        DataError: A row is longer than the model takes; the message names the rows and the part of the data.
    """
    long = [example for example in examples if len(example.ids) > max_length]
    if long:
        longest = max(len(example.ids) for example in long)
        raise DataError(
            f"{len(long)} of {len(examples)} {part} rows are longer than {max_length} tokens (the longest has "
            f"{longest}): {_names(long)}",
            hint="shorten or drop these rows, raise max_length, or take a model with a longer context; "
            "tunekit never cuts an answer",
        )


def report(
    examples: Sequence[Tokens],
    kept: Sequence[Tokens],
    *,
    validation: Sequence[Tokens] = (),
    tokenizer: Tokenizer,
    recipe: Recipe,
    stop_ids: Sequence[int],
    template_sha256: str,
    trainable: int,
    parameters: int,
    memory_bytes: int,
    device: str,
    served_differently: Sequence[str] = (),
) -> dict[str, Any]:
    """Facts and warnings about the run, JSON-ready.

    Args:
        examples: Every training row.
        kept: Those with a target.
        validation: Every held-out row.
        tokenizer: Decodes the sample.
        recipe: What will be done.
        stop_ids: Tokens that end an answer.
        template_sha256: Hash of the chat template, "" without one.
        trainable: Trainable parameters.
        parameters: All parameters.
        memory_bytes: Estimated peak.
        device: Where it will run.
        served_differently: Rows, of those looked at, whose prompt is written differently when it is served.
    """
    tokens = sum(len(example.ids) for example in kept)
    targets = sum(example.target_count for example in kept)
    stops = set(stop_ids)
    stopped = sum(_learns_to_stop(example, stops) for example in kept)
    return {
        "rows": len(kept),
        "rows_without_target": len(examples) - len(kept),
        "turns_without_weight": _silent_turns(kept),
        "validation_rows": len(validation) - len(_without_target(validation)),
        "validation_rows_without_target": len(_without_target(validation)),
        "tokens": tokens,
        "target_tokens": targets,
        "target_share": round(targets / tokens, 4),
        "longest": max(len(example.ids) for example in kept),
        "max_length": recipe.max_length,
        "rows_that_learn_to_stop": stopped,
        "stop_tokens": [tokenizer.decode([token]) for token in stop_ids],
        "chat_template_sha256": template_sha256,
        "sample": masked_sample(kept[0], tokenizer),
        "steps": recipe.total_steps,
        "batch_size": recipe.batch_size,
        "learning_rate": recipe.learning_rate,
        "auto": dict(recipe.sources),
        "trainable_parameters": trainable,
        "parameters": parameters,
        "memory_estimate_bytes": memory_bytes,
        "device": device,
        "warnings": [
            *_left_out(examples, part="training"),
            *_left_out(validation, part="validation"),
            *_not_learned(kept, part="training"),
            *_warnings(kept, stopped, served_differently),
        ],
    }


def masked_sample(example: Tokens, tokenizer: Tokenizer) -> str:
    """An example as the model sees it, with what it learns between ⟦ and ⟧."""
    text, start = "", 0
    learned = [weight != 0.0 for weight in example.weights]
    for at in range(1, len(learned) + 1):
        if at == len(learned) or learned[at] != learned[start]:
            piece = tokenizer.decode(list(example.ids[start:at]))
            text += f"⟦{piece}⟧" if learned[start] else piece
            start = at
    return text if len(text) <= _SAMPLE_CHARACTERS else text[:_SAMPLE_CHARACTERS] + " ..."


def memory_estimate(
    *, parameter_bytes: int, trainable: int, layers: int, hidden: int, vocabulary: int, pass_tokens: int
) -> int:
    """Rough peak in bytes: weights, fp32 gradients and two Adam moments, activations and logits of one pass.

    34 values per token, layer and unit of width: Korthikanti et al. 2022 (arXiv 2205.05198, section 4), without the
    attention matrix, which fused kernels do not keep.
    """
    states = trainable * 4 * 3
    activations = pass_tokens * layers * hidden * 34 * 4
    logits = min(pass_tokens, 4096) * vocabulary * 4 * 3
    return parameter_bytes + states + activations + logits


def _learns_to_stop(example: Tokens, stops: set[int]) -> bool:
    last = max(at for at, weight in enumerate(example.weights) if weight != 0.0)
    return example.ids[last] in stops


def _without_target(examples: Sequence[Tokens]) -> list[Tokens]:
    return [example for example in examples if not example.target_count]


def _left_out(examples: Sequence[Tokens], *, part: str) -> list[str]:
    empty = _without_target(examples)
    return (
        [f"{len(empty)} {part} rows have nothing to learn and are left out: {_names(empty)}"] if empty else []
    )


def _silent_turns(examples: Sequence[Tokens]) -> int:
    return sum(example.silent_turns for example in examples)


def _not_learned(examples: Sequence[Tokens], *, part: str) -> list[str]:
    rows = [example for example in examples if example.silent_turns]
    if not rows:
        return []
    return [
        f"{_silent_turns(rows)} assistant turns of weight 0 in {part} rows are not learned: {_names(rows)}"
    ]


def _warnings(kept: Sequence[Tokens], stopped: int, served_differently: Sequence[str]) -> list[str]:
    found = []
    if stopped < len(kept):
        found.append(
            f"{len(kept) - stopped} rows do not end in a stop token; the model may run on after such answers"
        )
    if served_differently:
        rows = f"{len(served_differently)} rows (such as {served_differently[0]!r})"
        found.append(
            f"the chat template writes the prompt of {rows} "
            "differently when it asks for an answer than when it shows one; the tuned model may answer worse for it"
        )
    return found


def _names(examples: Sequence[Tokens]) -> str:
    names = [repr(example.row) for example in examples[:_NAMED]]
    rest = len(examples) - len(names)
    return ", ".join(names) + (f" and {rest} more" if rest else "")
