"""What a training job comes to: tokens, epochs, steps, money. Knows defaults and prices that have a source; no wire.

What has no source is None, with a note: an invented price is worse than none.
"""

from __future__ import annotations

import math
import re
import tomllib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import cache
from importlib import resources
from typing import Any, Literal, TypeAlias

import msgspec

from tunekit.data.profiles import Profile, profile_of
from tunekit.data.tokens.counters import RowTokens, TokenCounter, checked_counter, counter_for
from tunekit.data.tokens.statistics import TokenStatistics, TokenSummary
from tunekit.data.wording import brief, counted
from tunekit.errors import SpecError
from tunekit.examples import Example

Auto: TypeAlias = Literal["auto"]

DEFAULT_EPOCHS = 3.0
"""What a `TuneSpec` has unless told."""
LEGACY_EPOCHS = 4.0
"""Default of OpenAI's first fine-tuning API, for babbage-002 and davinci-002's predecessors (API reference of 2022)."""
# The rule of OpenAI's cookbook, Chat_finetuning_data_prep.ipynb, for jobs without n_epochs.
_TARGET_EPOCHS, _MAX_AUTO_EPOCHS = 3, 25
_FEWEST_EXAMPLES, _MOST_EXAMPLES = 100, 25_000
_LEGACY_BATCH_SHARE, _LEGACY_BATCH_MOST = 0.002, 256  # the same API reference: about 0.2 % of the examples
# Of the estimates from characters, over 48 corpora (tunekit.data.tokens.estimate).
_WORST_ESTIMATE = 0.28
_BILLIONS = re.compile(r"(?<![\d.])(\d{1,4}(?:\.\d{1,3})?)B(?![a-z])", re.ASCII)


class Price(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What training costs somewhere.

    Attributes:
        usd_per_million_tokens: Where trained tokens are billed.
        usd_per_hour: Where time is billed.
        below_billion_parameters: Holds for models smaller than this, where it is not for all.
        as_of: Day on which it was known, as YYYY-MM-DD; "" where the caller gave it.
        source: Where it is written.
    """

    as_of: str
    source: str
    usd_per_million_tokens: float | None = None
    usd_per_hour: float | None = None
    below_billion_parameters: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CostEstimate:
    """What training once would come to.

    Attributes:
        target: Where.
        tokens: Of the data, once; rows cut where the target would cut them.
        epochs: Passes over the data.
        epochs_reason: Where that number comes from.
        trained_tokens: Tokens times epochs: what services bill.
        batch_size: Examples in a step; None where it is not known.
        steps: Optimizer steps; None where it is not known.
        usd: Price in US dollars; None where it is not known.
        usd_low: The least that it can come to: fewer tokens, where they were estimated, and one epoch, where the
            service chooses their number.
        usd_high: The most, by the same reckoning.
        price: What `usd` was reckoned with.
        seconds: Time of training; None where there is no basis for a guess.
        notes: What is uncertain or missing, and what to do about it.
    """

    target: str
    tokens: TokenSummary
    epochs: float
    epochs_reason: str
    trained_tokens: int
    batch_size: int | None = None
    steps: int | None = None
    usd: float | None = None
    usd_low: float | None = None
    usd_high: float | None = None
    price: Price | None = None
    seconds: float | None = None
    notes: tuple[str, ...] = ()

    def __str__(self) -> str:
        return "\n".join([f"{self.target}:", *(f"  {line}" for line in self._lines())])

    def _lines(self) -> Iterator[str]:
        yield f"{counted(self.tokens.rows, 'row')}, {counted(self.tokens.total, 'token')} ({self.tokens.how})"
        epochs = "1 epoch" if self.epochs == 1 else f"{self.epochs:g} epochs"
        yield f"x {epochs} ({self.epochs_reason}) = {counted(self.trained_tokens, 'trained token')}"
        if self.steps is not None:
            yield f"{counted(self.steps, 'step')} of {self.batch_size:,}"
        if self.usd is not None and self.price is not None:
            money = f"about ${self.usd:,.2f}" if self.usd >= 0.01 else "less than a cent"
            when = f" (as of {self.price.as_of})" if self.price.as_of else ""
            rate = f"at ${self.price.usd_per_million_tokens:g} per million tokens{when}"
            yield f"{money}, {rate}{self._range()}"
        if self.seconds is not None:
            yield f"about {_duration(self.seconds)}"
        yield from (f"- {note}" for note in self.notes)

    def _range(self) -> str:
        if self.usd_low is None or self.usd_high is None or self.usd_low == self.usd_high:
            return ""
        return f"; from ${self.usd_low:,.2f} to ${self.usd_high:,.2f}"

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON."""
        body = {name: getattr(self, name) for name in self.__slots__}
        body["tokens"] = self.tokens.to_dict()
        body["price"] = msgspec.to_builtins(self.price)
        body["notes"] = list(self.notes)
        return body


def estimate(
    examples: Iterable[Example],
    target: str,
    *,
    epochs: float | Auto = "auto",
    batch_size: int | Auto = "auto",
    usd_per_million_tokens: float | None = None,
    tokens_per_second: float | None = None,
    counter: TokenCounter | None = None,
) -> CostEstimate:
    """Estimate what training once on these rows would come to.

    Args:
        examples: The rows; one pass over them.
        target: Where, such as `"openai:gpt-4o-2024-08-06"`; a profile's name will do.
        epochs: Passes; "auto" takes the service's own default where it is known, and else that of `TuneSpec`.
        batch_size: Examples in a step, for the number of steps.
        usd_per_million_tokens: The price, where you know it better than the table.
        tokens_per_second: How fast the trainer is, where you have measured it.
        counter: Counts tokens as the target's model does; None takes what is known of it.

    Raises:
        SpecError: The target is not known, or a number is out of range.

    Examples:
        >>> from tunekit.examples import CompletionExample
        >>> rows = [CompletionExample(prompt=f"Parcel {i}?", completion="delivery") for i in range(200)]
        >>> job = estimate(rows, "openai:gpt-4o-2024-08-06", epochs=2, usd_per_million_tokens=25)
        >>> job.trained_tokens == 2 * job.tokens.total, job.steps is None
        (True, True)
    """
    _check(
        epochs=epochs,
        batch_size=batch_size,
        usd_per_million_tokens=usd_per_million_tokens,
        tokens_per_second=tokens_per_second,
    )
    profile = profile_of(target)
    tokens = _measured(examples, profile, checked_counter(counter) or counter_for(profile))
    passes, reason = _epochs(profile, tokens.rows, epochs)
    batch = _batch_size(profile, tokens.rows) if batch_size == "auto" else batch_size
    trained = round(tokens.total * passes)
    job = CostEstimate(
        target=target,
        tokens=tokens,
        epochs=passes,
        epochs_reason=reason,
        trained_tokens=trained,
        batch_size=batch,
        steps=math.ceil(tokens.rows / batch * passes) if batch else None,
        seconds=trained / tokens_per_second if tokens_per_second else None,
    )
    return _with_notes(_priced(job, profile, usd_per_million_tokens, are_epochs_chosen=epochs == "auto"))


def openai_epochs(rows: int) -> int:
    """Epochs of an OpenAI job without `n_epochs`: 3, more for few rows, fewer for many. The rule of OpenAI's cookbook.

    Examples:
        >>> openai_epochs(10), openai_epochs(500), openai_epochs(50_000)
        (10, 3, 1)
    """
    if 0 < rows * _TARGET_EPOCHS < _FEWEST_EXAMPLES:
        return min(_MAX_AUTO_EPOCHS, _FEWEST_EXAMPLES // rows)
    if rows * _TARGET_EPOCHS > _MOST_EXAMPLES:
        return max(1, _MOST_EXAMPLES // rows)
    return _TARGET_EPOCHS


def price_of(profile: Profile) -> Price | None:
    """What training there costs, where a source says so."""
    rows = _prices().get(profile.name, {})
    names = [name for name in rows if profile.model == name or profile.model.startswith(f"{name}-")]
    price = rows.get(max(names, key=len, default="*"))
    if price is None or price.below_billion_parameters is None:
        return price
    size = _BILLIONS.search(profile.model)
    return price if size and float(size[1]) < price.below_billion_parameters else None


@cache
def _prices() -> dict[str, dict[str, Price]]:
    text = (resources.files("tunekit.data.advice") / "prices.toml").read_text(encoding="utf-8")
    return msgspec.convert(tomllib.loads(text), dict[str, dict[str, Price]])


# --- parts of the estimate ----------------------------------------------------------------------------


_OPTIONAL = ("usd_per_million_tokens", "tokens_per_second")


def _check(**numbers: Any) -> None:
    for name, number in numbers.items():
        if number is None if name in _OPTIONAL else isinstance(number, str) and number == "auto":
            continue
        if isinstance(number, bool) or not isinstance(number, (int, float)) or not 0 < number < math.inf:
            raise SpecError(f"{name} is {brief(number)}", hint="give a number above 0, or leave it out")
    if isinstance(numbers["batch_size"], float):
        raise SpecError(f"batch_size is {numbers['batch_size']!r}", hint="give a whole number")


def _measured(examples: Iterable[Example], profile: Profile, counter: TokenCounter) -> TokenSummary:
    limit = profile.max_tokens_per_row
    statistics = TokenStatistics(counter if limit is None else _Cut(counter, limit))
    for example in examples:
        statistics.add(example)
    return statistics.summary()


class _Cut:
    """Counts what is left of a row when the target has cut it: that is what it bills."""

    def __init__(self, counter: TokenCounter, limit: int) -> None:
        self.name, self.is_estimate, self.says = counter.name, counter.is_estimate, counter.says
        self._counter, self._limit = counter, limit

    def __call__(self, example: Example) -> RowTokens:
        tokens = self._counter(example)
        if tokens.longest <= self._limit:
            return tokens
        cut = tokens.longest - self._limit
        return RowTokens(tokens.total - cut, max(0, tokens.learned - cut), self._limit)


def _epochs(profile: Profile, rows: int, epochs: float | Auto) -> tuple[float, str]:
    if epochs != "auto":
        return float(epochs), "as asked"
    if profile.name == "openai" and profile.prompt_format == "text":
        return LEGACY_EPOCHS, "the default of OpenAI's first fine-tuning API"
    if profile.name == "openai":
        return float(openai_epochs(rows)), f"OpenAI's default for {counted(rows, 'row')}"
    return DEFAULT_EPOCHS, "TuneSpec's default"


def _batch_size(profile: Profile, rows: int) -> int | None:
    if profile.name == "openai" and profile.prompt_format == "text":
        return min(max(1, round(rows * _LEGACY_BATCH_SHARE)), _LEGACY_BATCH_MOST)
    return None


def _priced(
    job: CostEstimate, profile: Profile, asked: float | None, *, are_epochs_chosen: bool
) -> CostEstimate:
    if asked is not None:
        price: Price | None = Price(usd_per_million_tokens=asked, as_of="", source="the caller")
    else:
        price = price_of(profile)
    rate = price.usd_per_million_tokens if price else None
    if rate is None:
        return replace(job, price=price)
    usd = job.trained_tokens * rate / 1e6
    # No service trains for less than one epoch; which number it chooses is a rule that it may have changed.
    least = 1 / max(job.epochs, 1.0) if are_epochs_chosen else 1.0
    off = _WORST_ESTIMATE if job.tokens.is_estimate else 0.0
    return replace(job, price=price, usd=usd, usd_low=usd * least / (1 + off), usd_high=usd / (1 - off))


def _with_notes(job: CostEstimate) -> CostEstimate:
    notes = []
    if job.tokens.is_estimate:
        notes.append(f"tokens: {job.tokens.says}")
    if job.price is not None and job.price.usd_per_hour is not None:
        notes.append(
            f"training is billed by time: ${job.price.usd_per_hour:g} an hour (as of {job.price.as_of})"
        )
    elif job.usd is None and not job.target.startswith(("local", "base")):
        notes.append(
            "the price is not known here; pass usd_per_million_tokens= with what the price page says"
        )
    elif job.price is not None and job.price.as_of:
        notes.append(f"price from: {job.price.source}")
    if job.steps is None:
        notes.append("steps: the service's batch size is not known; pass batch_size=")
    if job.seconds is None:
        notes.append("time: there is no basis for a guess; pass tokens_per_second= with what was measured")
    return replace(job, notes=tuple(notes))


def _duration(seconds: float) -> str:
    for size, name in ((86_400, "day"), (3_600, "hour"), (60, "minute")):
        if seconds >= 2 * size:
            return counted(round(seconds / size), name)
    return counted(max(1, round(seconds)), "second")
