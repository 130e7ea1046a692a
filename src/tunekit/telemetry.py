"""Jobs, evaluations and retrainings as OpenTelemetry spans and metrics. Knows events; starts, sends and sets nothing.

Names are `tunekit.*`; where OpenTelemetry's conventions have one (`gen_ai.request.model`, `error.type`), it is that.
What models are asked and answer, and reasons in words, may hold a user's text: they are in no span.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Mapping
from importlib import import_module
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TypeAlias

from tunekit.errors import MissingExtraError
from tunekit.evaluation.running.runner import Progress
from tunekit.events import CheckpointSaved, Evaluated, JobEvent, JobState, StateChanged, Step
from tunekit.retrain.rounds.records import RoundState, Transition

if TYPE_CHECKING:
    from opentelemetry.metrics import MeterProvider
    from opentelemetry.trace import Span, TracerProvider

_log = logging.getLogger(__name__)
Attributes: TypeAlias = Mapping[str, str | int | float | bool]


class Telemetry:
    """Shows one job, evaluation or retraining to OpenTelemetry. Call it with each event, in order.

    It goes wherever events go: `job.wait(on_event=...)`, `evaluator.run(on_progress=...)`, a loop over `job.events()`,
    `retrainer.run(on_event=...)`. Spans are `tunekit.job`, `tunekit.evaluation` and `tunekit.retrain`, with one for
    each state below the first and the last; they are children of the span that was current when this was made. What
    goes wrong here is logged and stops nobody. One is for one operation; to see several at once, make several.

    Metrics: `tunekit.jobs` and `tunekit.retrainings` count what ended, by `tunekit.outcome`; `tunekit.job.duration`
    and `tunekit.retraining.duration` are in seconds; `tunekit.training.throughput` in tokens per second;
    `tunekit.evaluation.items` counts items by `tunekit.outcome` (answered, kept, failed), `tunekit.evaluation.cost`
    is in US dollars.

    Args:
        attributes: On every span and metric, such as `{"deployment.environment.name": "staging"}`. Few values each:
            metrics are kept for every combination.
        tracer_provider: Of the host; None is the one that is set for the process, which does nothing unless it was set.
        meter_provider: Likewise.

    Raises:
        MissingExtraError: OpenTelemetry is not installed.

    Examples:
        >>> import tunekit as tk
        >>> from tunekit.store import MemoryStore
        >>> from tunekit.testing import ScriptedBackend, tiny_dataset
        >>> job = tk.FineTuneJob.submit(
        ...     tiny_dataset(), "scripted:base", backend=ScriptedBackend(), store=MemoryStore())
        >>> with Telemetry({"service.name": "support"}) as telemetry:
        ...     done = job.wait(on_event=telemetry)
    """

    def __init__(
        self,
        attributes: Attributes | None = None,
        *,
        tracer_provider: TracerProvider | None = None,
        meter_provider: MeterProvider | None = None,
    ) -> None:
        trace, metrics = _api("trace"), _api("metrics")
        self._error = trace.Status(trace.StatusCode.ERROR)
        self._in = trace.set_span_in_context
        self._around = _api("context").get_current()
        self._attributes = dict(attributes or {})
        self._tracer = trace.get_tracer("tunekit", tracer_provider=tracer_provider)
        meter = metrics.get_meter("tunekit", meter_provider=meter_provider)
        self._jobs = meter.create_counter("tunekit.jobs", "{job}", "Fine-tuning jobs that ended")
        self._job_s = meter.create_histogram("tunekit.job.duration", "s", "From the first event to the last")
        self._speed = meter.create_histogram("tunekit.training.throughput", "{token}/s", "Of each step")
        self._rounds = meter.create_counter("tunekit.retrainings", "{round}", "Retrainings that came to rest")
        self._round_s = meter.create_histogram("tunekit.retraining.duration", "s", "From first to last state")
        self._items = meter.create_counter("tunekit.evaluation.items", "{item}", "Items of evaluations")
        self._cost = meter.create_counter("tunekit.evaluation.cost", "{USD}", "What answers cost")
        self._lock = threading.Lock()
        self._open: dict[str, _Open] = {}
        self._seen: dict[str, Progress] = {}

    def __call__(self, event: JobEvent | Transition | Progress) -> None:
        """Take one event. Raises nothing."""
        try:
            with self._lock:
                self._take(event)
        except Exception:
            _log.exception("telemetry failed; what it watches goes on")

    def close(self) -> None:
        """End what is open, as it stands: its job, or round, goes on without being watched."""
        with self._lock:
            for name in list(self._open):
                self._end(name, time.time())

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # --- inside -----------------------------------------------------------------------------------------

    def _take(self, event: JobEvent | Transition | Progress) -> None:
        match event:
            case Transition():
                self._round(event)
            case Progress():
                self._progress(event)
            case StateChanged(state=state):
                self._job(state, event.at)
            case Step(tokens_per_s=speed) if speed is not None:
                self._speed.record(speed, self._attributes)
            case Evaluated() | CheckpointSaved():
                self._note(event)
            case _:
                pass

    def _job(self, state: JobState, at: float) -> None:
        began = self._enter(
            "job", str(state), at, {"tunekit.job.state": str(state)}, below=self._span("retrain")
        )
        if state.is_terminal:
            self._jobs.add(1, self._outcome(state))
            self._job_s.record(max(0.0, at - began), self._outcome(state))
            self._end("job", at, failed=state is JobState.FAILED)

    def _round(self, event: Transition) -> None:
        state = event.state
        named = {"tunekit.pipeline": event.pipeline}
        told = {**named, "tunekit.round.id": event.round_id, "tunekit.round.state": str(state)}
        began = self._enter("retrain", str(state), event.at, told)
        if not state.is_at_work:
            self._rounds.add(1, {**self._outcome(state), **named})
            self._round_s.record(max(0.0, event.at - began), {**self._outcome(state), **named})
            for name in [each for each in self._open if each != "retrain"]:
                self._end(name, event.at)
            self._end("retrain", event.at, failed=state is RoundState.FAILED)

    def _progress(self, news: Progress) -> None:
        name, now = f"evaluation of {news.model} ({news.phase})", time.time()
        told = {"gen_ai.request.model": news.model, "tunekit.evaluation.phase": news.phase}
        if name not in self._open:
            span = self._start("tunekit.evaluation", now, told, self._span("retrain"))
            span.set_attribute("tunekit.evaluation.items", news.total)
            self._open[name] = _Open(span, now)
        before = self._seen.get(name)
        self._count(news, before)
        self._seen[name] = news
        if news.done >= news.total:
            self._end(name, now)

    def _count(self, news: Progress, before: Progress | None) -> None:
        # Without the model: each retraining has a name of its own, and metrics are kept for each combination.
        told = {**self._attributes, "tunekit.evaluation.phase": news.phase}
        done, kept, failed = news.done - news.errors - news.cached, news.cached, news.errors
        spent = news.spent_usd or 0.0
        if before is not None:
            done -= before.done - before.errors - before.cached
            kept, failed = kept - before.cached, failed - before.errors
            spent -= before.spent_usd or 0.0
        for outcome, more in (("answered", done), ("kept", kept), ("failed", failed)):
            if more > 0:
                self._items.add(more, {**told, "tunekit.outcome": outcome})
        if spent > 0.0:
            self._cost.add(spent, told)

    def _note(self, event: Evaluated | CheckpointSaved) -> None:
        span = self._span("job")
        if span is not None:
            numbers = event.metrics if isinstance(event, Evaluated) else {}
            told = {f"tunekit.validation.{name}": value for name, value in numbers.items()}
            span.add_event(
                f"tunekit.{event.type}", {"tunekit.step": event.step, **told}, timestamp=_ns(event.at)
            )

    def _enter(self, name: str, state: str, at: float, told: Attributes, below: Span | None = None) -> float:
        """A state below the span of a job or round; when that began."""
        if name not in self._open:
            self._open[name] = _Open(self._start(f"tunekit.{name}", at, told, below), at)
        whole = self._open[name]
        whole.span.set_attributes(dict(told))
        if whole.state is not None:
            whole.state.end(_ns(at))
        whole.state = self._start(f"tunekit.{name}.{state}", at, told, whole.span)
        return whole.began

    def _end(self, name: str, at: float, failed: bool = False) -> None:
        whole = self._open.pop(name)
        if failed:
            whole.span.set_status(self._error)
            whole.span.set_attribute("error.type", "failed")
        if whole.state is not None:
            whole.state.end(_ns(at))
        whole.span.end(_ns(at))

    def _start(self, name: str, at: float, told: Attributes, below: Span | None) -> Span:
        around = self._around if below is None else self._in(below, self._around)
        span: Span = self._tracer.start_span(
            name, around, attributes={**self._attributes, **told}, start_time=_ns(at)
        )
        return span

    def _span(self, name: str) -> Span | None:
        return self._open[name].span if name in self._open else None

    def _outcome(self, state: JobState | RoundState) -> dict[str, str | int | float | bool]:
        return {**self._attributes, "tunekit.outcome": str(state)}


class _Open:
    """A span that has not ended, the one of its state below it, and when it began in Unix seconds."""

    def __init__(self, span: Span, began: float) -> None:
        self.span, self.began = span, began
        self.state: Span | None = None


def _ns(seconds: float) -> int:
    return round(seconds * 1e9)


def _api(part: str) -> Any:
    try:
        return import_module(f"opentelemetry.{part}")
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != "opentelemetry":
            raise
        raise MissingExtraError("OpenTelemetry", extra="otel") from None
