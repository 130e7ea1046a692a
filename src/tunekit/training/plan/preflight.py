"""What is known before the first step, and what would make it pointless. Knows rows and plans; runs no model.

Fail here rather than warn: a run whose answers were cut, or whose model never learns to stop, looks like a success.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Literal, TypeAlias, TypeVar

from tunekit.errors import DataError, ModelError, UnsupportedError
from tunekit.spec import TuneSpec
from tunekit.training.plan.recipe import Recipe
from tunekit.training.texts.rows import Row

_NAMED = 10

R = TypeVar("R", bound=Row)
TooLong: TypeAlias = Literal["error", "drop", "truncate_prompt"]

_EVEN: dict[TooLong, str] = {
    "error": "",
    "drop": ", and none is left without them",
    "truncate_prompt": " even where their prompts say next to nothing (answers, system prompts, tools and the template "
    "are not cut)",
}
"""What a policy has done about rows that are too long, where it did not help."""


def refuse_compile(spec: TuneSpec) -> None:
    """Raise `UnsupportedError` if torch.compile is asked for.

    Measured on a 15M Llama on one core: norms and MLPs compiled with dynamic shapes gain less than the measurement
    scatters, and take half a minute and more to compile. And what is generated depends on the first shapes that are
    seen, so a run that is taken up again could end in other bits.
    """
    if spec.compile is True:
        raise UnsupportedError(
            "the local trainer does not compile: it would gain next to nothing, and cost bit-exact resumption",
            hint="leave compile at 'auto' or set it to False",
        )


def with_target(rows: Sequence[R], *, part: str) -> list[R]:
    """The rows that have something to learn, in order.

    Raises:
        DataError: There is none; the message names the part of the data.
    """
    kept = [row for row in rows if row.target_count]
    if not kept:
        raise DataError(
            f"none of {len(rows)} {part} rows has a token to learn",
            hint="chat rows need an assistant message whose weight is not 0; completion rows need a completion",
        )
    return kept


def require_known(rows: Sequence[Row], *, embeddings: int) -> None:
    """Raise `ModelError` for rows with tokens that the model has no embedding of: its tokenizer is another model's."""
    unknown = [row for row in rows if row.highest >= embeddings]
    if unknown:
        raise ModelError(
            f"the tokenizer writes {names(unknown)} with token {max(row.highest for row in unknown)}, and the model "
            f"knows {embeddings} tokens",
            hint="restore the model's own tokenizer files, or save the model again after resize_token_embeddings",
        )


def fitting(
    rows: Sequence[R],
    *,
    asked: int | None,
    limit: int,
    too_long: TooLong,
    shortened: Callable[[Sequence[R], int], Sequence[R | None]],
    part: str,
) -> tuple[list[R], list[str]]:
    """The rows that the model takes, by the policy for longer ones, and what was done to get there.

    Args:
        rows: Rows with a target.
        asked: `TuneSpec.max_length`.
        limit: Longest text that the model takes, in tokens.
        too_long: The policy, as in `TuneSpec.too_long`.
        shortened: Leaves out of the prompts of rows what makes them longer than that; None where it does not help.
        part: Of the data, for messages.

    Raises:
        DataError: A row is too long, or is so without its prompt, or none is left; the message names the rows.
    """
    max_length = min(asked or limit, limit)
    long = [row for row in rows if row.longest > max_length]
    if not long:
        return list(rows), []
    refused = partial(_too_long, rows=rows, asked=asked, limit=limit, too_long=too_long, part=part)
    said = f"{len(long)} of {len(rows)} {part} rows are longer than {max_length} tokens and"
    if too_long == "truncate_prompt":
        cut = dict(zip(map(id, long), shortened(long, max_length), strict=True))
        hopeless = [row for row in long if cut[id(row)] is None]
        if hopeless:
            raise refused(hopeless)
        fitted = [cut.get(id(row)) or row for row in rows]
        lost = sum(row.longest for row in rows) - sum(row.longest for row in fitted)
        return fitted, [
            f"{said} lose the beginning of their prompts, {lost} tokens in all (of chats, what the oldest messages "
            f"say): {names(long)}"
        ]
    kept = [row for row in rows if row.longest <= max_length]
    if too_long == "error" or not kept:
        raise refused(long)
    return kept, [f"{said} are left out: {names(long)}"]


def _too_long(
    long: Sequence[Row], *, rows: Sequence[Row], asked: int | None, limit: int, too_long: TooLong, part: str
) -> DataError:
    """What rows are too long for, and the ways out that were not tried yet."""
    longest = max(row.longest for row in long)
    others = [repr(policy) for policy in ("drop", "truncate_prompt") if policy != too_long]
    even = _EVEN[too_long]
    wider = (
        f"raise max_length (the model takes {limit})"
        if asked and asked < limit
        else "take a model with a longer context"
    )
    return DataError(
        f"{len(long)} of {len(rows)} {part} rows are longer than {min(asked or limit, limit)} tokens{even} "
        f"(the longest has {longest}): {names(long)}",
        hint=f"shorten these rows, set too_long={' or '.join(others)}, or {wider}; "
        "tunekit never cuts an answer (of RFT, room for max_tokens is part of a row)",
    )


def report(
    rows: Sequence[Row],
    kept: Sequence[Row],
    *,
    validation: Sequence[Row] = (),
    recipe: Recipe,
    template_sha256: str,
    trainable: int,
    parameters: int,
    memory_bytes: int,
    device: str,
) -> dict[str, Any]:
    """Facts about the run, JSON-ready; an objective adds its own.

    Args:
        rows: Every training row.
        kept: Those with a target.
        validation: Every held-out row.
        recipe: What will be done.
        template_sha256: Hash of the chat template, "" without one.
        trainable: Trainable parameters.
        parameters: All parameters.
        memory_bytes: Estimated peak.
        device: Where it will run.
    """
    tokens = sum(row.length for row in kept)
    targets = sum(row.target_count for row in kept)
    return {
        "rows": len(kept),
        "rows_without_target": len(rows) - len(kept),
        "validation_rows": len(validation) - len(_without_target(validation)),
        "validation_rows_without_target": len(_without_target(validation)),
        "tokens": tokens,
        "target_tokens": targets,
        "target_share": round(targets / tokens, 4),
        "longest": max(row.longest for row in kept),
        "max_length": recipe.max_length,
        "chat_template_sha256": template_sha256,
        "steps": recipe.total_steps,
        "batch_size": recipe.batch_size,
        "learning_rate": recipe.learning_rate,
        "epochs": recipe.epochs,
        "rank": recipe.rank,
        "auto": dict(recipe.sources),
        "trainable_parameters": trainable,
        "parameters": parameters,
        "memory_estimate_bytes": memory_bytes,
        "device": device,
        "warnings": [*_left_out(rows, part="training"), *_left_out(validation, part="validation")],
    }


def served_differently(rows: Sequence[str]) -> list[str]:
    """The warning about rows whose prompt is written differently when it is served, if there are any.

    Args:
        rows: Their ids.
    """
    if not rows:
        return []
    return [
        f"the chat template writes the prompt of {len(rows)} rows (such as {rows[0]!r}) "
        "differently when it asks for an answer than when it shows one; the tuned model may answer worse for it"
    ]


def cannot_end(token: str, equals: int) -> list[str]:
    """The warning about answers whose end cannot be learned, if there are other tokens that are equal to it.

    Args:
        token: What ends them.
        equals: How many tokens the model does not tell from it.
    """
    if not equals:
        return []
    return [
        f"answers end in {token!r}, which this model was never trained on: its output head does not tell it from "
        f"{equals} other tokens and is not trained here either, so the model may run on. Train FullWeights(), or make "
        "the token that its texts really end in the eos_token of its tokenizer"
    ]


def names(rows: Sequence[Row]) -> str:
    """The ids of some rows, for a message."""
    shown = [repr(row.id) for row in rows[:_NAMED]]
    rest = len(rows) - len(shown)
    return ", ".join(shown) + (f" and {rest} more" if rest else "")


def _without_target(rows: Sequence[Row]) -> list[Row]:
    return [row for row in rows if not row.target_count]


def _left_out(rows: Sequence[Row], *, part: str) -> list[str]:
    empty = _without_target(rows)
    return (
        [f"{len(empty)} {part} rows have nothing to learn and are left out: {names(empty)}"] if empty else []
    )
