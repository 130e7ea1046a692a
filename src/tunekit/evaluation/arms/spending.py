"""What one arm takes: tokens, seconds, money. Knows a stored evaluation and a price; invents neither."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator

from tunekit.evaluation.arms.costs import CallPrice
from tunekit.evaluation.arms.record import ArmRecord
from tunekit.evaluation.arms.results import ArmResult
from tunekit.evaluation.results import Evaluation
from tunekit.refs import ModelRef


def spent(
    name: str,
    evaluation: Evaluation,
    record: ArmRecord,
    price_of: Callable[[ModelRef], CallPrice | None] | None = None,
) -> ArmResult:
    """The result of an arm with what a call takes; None, and a note, where that is not known."""
    price = record.price or (price_of(evaluation.model) if price_of else None)
    seconds = _seconds_per_1000(evaluation, record)
    counted = record.calls > 0 and evaluation.input_tokens + evaluation.output_tokens > 0
    times = [item.seconds for item in evaluation.items if item.seconds is not None]
    return ArmResult(
        name=name,
        evaluation=evaluation,
        trained=record.trained,
        input_tokens_per_call=evaluation.input_tokens / record.calls if counted else None,
        output_tokens_per_call=evaluation.output_tokens / record.calls if counted else None,
        seconds_per_call=statistics.median(times) if times else None,
        seconds_per_1000_calls=seconds,
        usd_per_1000_calls=_usd_per_1000(evaluation, record, price, seconds),
        price=price,
        training_usd=record.training_usd,
        notes=tuple(_notes(record, price, counted=counted, is_timed=seconds is not None)),
    )


def _seconds_per_1000(evaluation: Evaluation, record: ArmRecord) -> float | None:
    if record.asking_s is None:
        return None
    return 1000 * record.asking_s / (len(evaluation.items) * record.draws)


def _usd_per_1000(
    evaluation: Evaluation, record: ArmRecord, price: CallPrice | None, seconds: float | None
) -> float | None:
    if price is None or (price.bills_tokens and not evaluation.input_tokens + evaluation.output_tokens):
        return None
    if price.usd_per_hour > 0.0 and seconds is None:
        return None
    share = 1000 / record.calls if record.calls else 0.0
    return price.usd(
        calls=1000,
        input_tokens=share * evaluation.input_tokens,
        output_tokens=share * evaluation.output_tokens,
        seconds=seconds or 0.0,
    )


def _notes(record: ArmRecord, price: CallPrice | None, *, counted: bool, is_timed: bool) -> Iterator[str]:
    if price is None:
        yield "what a call costs is not known here: pass price=CallPrice(...) with what the price page says"
    elif price.bills_tokens and not counted:
        yield "what a call costs is not known: its tokens were not counted"
    elif price.usd_per_hour > 0.0 and not is_timed:
        yield "what a call costs is not known: the time that it took was not kept"
    if record.trained and record.training_usd is None:
        yield "what training cost is not known here: pass training_usd="
