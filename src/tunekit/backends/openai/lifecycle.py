"""How long models still answer: the tuned ones of an account, and a base before money is spent on it.

Knows names of models and dates; trains nothing. A tuned model lives exactly as long as its base. The host's own
`shutdown_date` is believed first, of the model and of its base; where it says nothing, the profile's date stands in.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Awaitable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any, TypeVar

from tunekit.backends.openai import account
from tunekit.backends.openai.hosts import Host
from tunekit.backends.openai.jobs import Jobs
from tunekit.backends.openai.remote import RemoteJob, RemoteModel
from tunekit.backends.openai.transport import Transport
from tunekit.backends.registry import others
from tunekit.data.wording import brief
from tunekit.errors import BackendError, NotFoundError, PreflightError, TunekitError

_log = logging.getLogger(__name__)

T = TypeVar("T")

FEW_DAYS = 60
"""Fewer than these are worth a warning: what is trained now has to be replaced within two months."""

# Foundry's "gpt-4o-mini-2024-07-18.ft-0e208cf33a6a466994aff31a08aba678"; OpenAI's begin with "ft:".
_FOUNDRY_ID = re.compile(r"(?P<base>[^:]{1,200})\.ft-[0-9a-zA-Z-]{1,200}\Z")


@dataclass(frozen=True, slots=True, kw_only=True)
class TunedModel:
    """A tuned model of an account, and how long it will answer.

    Attributes:
        id: Its name at the host.
        base: What it was tuned from; empty where nobody says.
        created_at: When it, or its job, was made, in Unix seconds; 0 where the host does not say.
        job_id: The job that made it; empty where that is no longer listed.
        is_listed: Whether the host still shows it among its models.
        ends_on: First day on which it no longer answers; None where none is announced.
        ends_by: Who says so; where the host names a day that cannot be read, what it says.
        days_left: Days until then; 0 where it answers no more, None where no end is announced.
    """

    id: str
    base: str = ""
    created_at: float = 0.0
    job_id: str = ""
    is_listed: bool = True
    ends_on: date | None = None
    ends_by: str = ""
    days_left: int | None = None

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON."""
        body = {name: getattr(self, name) for name in self.__slots__}
        return body | {"ends_on": self.ends_on.isoformat() if self.ends_on else None}


@dataclass(frozen=True, slots=True, kw_only=True)
class Inventory:
    """The tuned models of an account, to be gone through, and what could not be looked at.

    Attributes:
        models: Those that stop answering soonest first.
        missing: In words, what the host did not let us see; empty where this is all.
    """

    models: tuple[TunedModel, ...]
    missing: tuple[str, ...] = ()

    def __iter__(self) -> Iterator[TunedModel]:
        return iter(self.models)

    def __len__(self) -> int:
        return len(self.models)

    def __getitem__(self, position: int) -> TunedModel:
        return self.models[position]


def base_of_id(model: str) -> str:
    """The base that the name of a tuned model tells; empty if it tells none.

    Examples:
        >>> base_of_id("ft:gpt-4.1-mini-2025-04-14:acme:tickets:Abc1")
        'gpt-4.1-mini-2025-04-14'
        >>> base_of_id("gpt-4o-mini-2024-07-18.ft-0e208cf33a6a"), base_of_id("gpt-4.1")
        ('gpt-4o-mini-2024-07-18', '')
    """
    if model.startswith("ft:"):
        return model.split(":")[1]
    found = _FOUNDRY_ID.match(model)
    return found["base"] if found else ""


async def tuned_models(transport: Transport, host: Host, *, today: date) -> Inventory:
    """Every tuned model of the account.

    Models that the host no longer lists, but whose jobs it does, are among them. Either list may be closed to this key,
    or missing at this host: the other one is still worth having.

    Args:
        transport: Carries the calls.
        host: Whose dates hold where the host says none.
        today: The day to count from.

    Raises:
        BackendError: The host refused both lists, or neither can be read.
    """
    failures: dict[str, TunekitError] = {}
    models = await _listed("models", account.models(transport), failures)
    jobs = await _listed("fine-tuning jobs", Jobs(transport=transport).all(), failures)
    if len(failures) == 2:
        raise next(iter(failures.values()))
    listed = {model.id: model for model in models}
    made = {job.fine_tuned_model: job for job in jobs if job.fine_tuned_model}
    ids = {*made, *(name for name in listed if base_of_id(name))}
    found = [_tuned(name, listed, made.get(name), host, today) for name in ids]
    return Inventory(
        models=tuple(
            sorted(found, key=lambda model: (model.ends_on or date.max, model.created_at, model.id))
        ),
        missing=tuple(f"the {what} could not be listed: {error.message}" for what, error in failures.items()),
    )


async def _listed(what: str, reading: Awaitable[list[T]], failures: dict[str, TunekitError]) -> list[T]:
    try:
        return await reading
    except (BackendError, NotFoundError) as error:
        failures[what] = error
        return []


async def check_days(
    transport: Transport, host: Host, model: str, *, at_least: int | None, today: date, backend: str
) -> None:
    """Hold a base model against the days that what is made of it must last.

    Args:
        transport: Carries the one call, which is made only where days are asked for.
        host: Whose dates hold where the host says none.
        model: The base, or a tuned model to go on from.
        at_least: Days that are needed; None only warns where the profile knows of fewer than `FEW_DAYS`.
        today: The day to count from.
        backend: Name of the backend, for the message.

    Raises:
        PreflightError: It has fewer days, or the host's date cannot be read.
        BackendError: The host cannot be asked.
    """
    base = base_of_id(model) or model
    told = await account.model(transport, base) if at_least is not None else None
    if told and told.shutdown_date and not _day(told.shutdown_date):
        fact = f"the host says that {brief(base)} ends {brief(told.shutdown_date)}, which is no date that can be read"
        hint = "look the date up, and leave out min_days_left if it is far enough"
        raise PreflightError((fact,), backend=backend, hint=hint)
    ends_on, ends_by = _end({base: told}, base, base, host)
    left = _days_left(ends_on, today)
    if left is None or left >= (FEW_DAYS if at_least is None else at_least):
        return
    fact = f"{brief(base)} and all that is tuned from it answer for {left} more days, until {ends_on} ({ends_by})"
    if at_least is not None:
        installed = ", ".join(others(backend))
        elsewhere = f"; other installed backends: {installed}" if installed else ""
        hint = f"ask for fewer days, or train a model that lasts longer{elsewhere}"
        raise PreflightError((f"{fact}, and {at_least} are asked for",), backend=backend, hint=hint)
    _log.warning("%s", fact)


def _tuned(
    name: str, listed: Mapping[str, RemoteModel], job: RemoteJob | None, host: Host, today: date
) -> TunedModel:
    trained = job.model if job else ""
    base = base_of_id(name) or base_of_id(trained) or trained
    model = listed.get(name)
    ends_on, ends_by = _end(listed, name, base, host)
    created_at = (model.created_at if model else 0.0) or (job.finished_at or job.created_at if job else 0.0)
    return TunedModel(
        id=name,
        base=base,
        created_at=created_at,
        job_id=job.id if job else "",
        is_listed=model is not None,
        ends_on=ends_on,
        ends_by=ends_by,
        days_left=_days_left(ends_on, today),
    )


def _days_left(ends_on: date | None, today: date) -> int | None:
    return None if ends_on is None else max(0, (ends_on - today).days)


def _end(
    listed: Mapping[str, RemoteModel | None], name: str, base: str, host: Host
) -> tuple[date | None, str]:
    """The first day without answers, and who says so."""
    told = [_day(model.shutdown_date) for model in (listed.get(name), listed.get(base)) if model]
    if days := [day for day in told if day]:
        return min(days), "the host says"
    if said := [
        model.shutdown_date for model in (listed.get(name), listed.get(base)) if model and model.shutdown_date
    ]:
        return None, f"the host says {brief(said[0])}"
    known = _day(host.model(base).answers_end) if base else None
    return known, f"{host.title}, as of {host.as_of}" if known else ""


def _day(text: str) -> date | None:
    """A day as YYYY-MM-DD, perhaps with a time behind it; None for anything else."""
    try:
        return date.fromisoformat(text[:10])
    except ValueError:
        if text:
            _log.warning("the host sent a date that is none: %s", brief(text))
        return None


def lines(models: Iterable[TunedModel]) -> list[tuple[str, ...]]:
    """Rows of a table: model, base, made on, last day, days left."""
    return [
        (model.id, model.base, _made_on(model), str(model.ends_on or ""), _left(model)) for model in models
    ]


def _made_on(model: TunedModel) -> str:
    return f"{datetime.fromtimestamp(model.created_at, tz=UTC):%Y-%m-%d}" if model.created_at else ""


def _left(model: TunedModel) -> str:
    if model.days_left is None:
        return model.ends_by or "no end announced"
    return f"{model.days_left}" if model.is_listed else f"{model.days_left} (no longer listed)"
