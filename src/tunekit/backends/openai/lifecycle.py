"""How long models still answer: the tuned ones of an account, and a base before money is spent on it.

Knows names of models and dates; trains nothing. A tuned model lives exactly as long as its base. The host's own
`shutdown_date` is believed first, of the model and of its base; where it says nothing, the profile's date stands in.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any

from tunekit.backends.openai import listing, wire
from tunekit.backends.openai.hosts import Host
from tunekit.backends.openai.transport import Call, Safety, Transport
from tunekit.backends.openai.wire import RemoteJob, RemoteModel
from tunekit.backends.registry import others
from tunekit.data.wording import brief
from tunekit.errors import NotFoundError, PreflightError

_log = logging.getLogger(__name__)

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
        ends_by: Who says so.
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


async def tuned_models(transport: Transport, host: Host, *, today: date) -> tuple[TunedModel, ...]:
    """Every tuned model of the account, those that stop answering soonest first.

    Models that the host no longer lists, but whose jobs it does, are among them.

    Args:
        transport: Carries the calls.
        host: Whose dates hold where the host says none.
        today: The day to count from.

    Raises:
        BackendError: The host refused, or its lists cannot be read.
    """
    models = await listing.everything(transport, "/models", wire.model, size=None)
    listed = {model.id: model for model in models}
    jobs = await listing.everything(transport, "/fine_tuning/jobs", wire.job)
    made = {job.fine_tuned_model: job for job in jobs if job.fine_tuned_model}
    ids = {*made, *(name for name in listed if base_of_id(name))}
    found = [_tuned(name, listed, made.get(name), host, today) for name in ids]
    return tuple(sorted(found, key=lambda model: (model.ends_on or date.max, model.created_at, model.id)))


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
        PreflightError: It has fewer days.
        BackendError: The host cannot be asked.
    """
    base = base_of_id(model) or model
    told = await _model(transport, base) if at_least is not None else None
    ends_on, ends_by = _end({base: told}, base, base, host)
    left = None if ends_on is None else max(0, (ends_on - today).days)
    if left is None or left >= (FEW_DAYS if at_least is None else at_least):
        return
    fact = f"{brief(base)} and all that is tuned from it answer for {left} more days, until {ends_on} ({ends_by})"
    if at_least is not None:
        elsewhere = f"; other installed backends: {', '.join(others(backend))}" if others(backend) else ""
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
        days_left=None if ends_on is None else max(0, (ends_on - today).days),
    )


def _end(
    listed: Mapping[str, RemoteModel | None], name: str, base: str, host: Host
) -> tuple[date | None, str]:
    """The first day without answers, and who says so."""
    told = [_day(model.shutdown_date) for model in (listed.get(name), listed.get(base)) if model]
    if days := [day for day in told if day]:
        return min(days), "the host says"
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


async def _model(transport: Transport, name: str) -> RemoteModel | None:
    """What the host says of a model; None if it does not know it by this name."""
    try:
        reply = await transport.send(
            Call(method="GET", path=f"/models/{wire.quoted(name)}", safety=Safety.READ)
        )
    except NotFoundError:
        return None
    return wire.model(reply.json())


def lines(models: Iterable[TunedModel]) -> list[tuple[str, ...]]:
    """Rows of a table: model, base, made on, last day, days left."""
    return [
        (model.id, model.base, _made_on(model), str(model.ends_on or ""), _left(model)) for model in models
    ]


def _made_on(model: TunedModel) -> str:
    return f"{datetime.fromtimestamp(model.created_at, tz=UTC):%Y-%m-%d}" if model.created_at else ""


def _left(model: TunedModel) -> str:
    if model.days_left is None:
        return "no end announced"
    return f"{model.days_left}" if model.is_listed else f"{model.days_left} (no longer listed)"
