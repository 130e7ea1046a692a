"""What OpenTelemetry sees of jobs, evaluations and retrainings, as its own SDK has received it."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

import tunekit as tk
from tests.unit.retrain.rounds.products import Host, product, rows
from tunekit.events import Evaluated, JobState, StateChanged, Step
from tunekit.store import MemoryStore
from tunekit.telemetry import Telemetry
from tunekit.testing import ScriptedBackend, tiny_dataset, training_script


@dataclass
class Seen:
    """A host's providers, and what has come to them."""

    exporter: InMemorySpanExporter = field(default_factory=InMemorySpanExporter)
    reader: InMemoryMetricReader = field(default_factory=InMemoryMetricReader)

    def __post_init__(self) -> None:
        self.tracing = TracerProvider()
        self.tracing.add_span_processor(SimpleSpanProcessor(self.exporter))
        self.metering = MeterProvider([self.reader])

    def watch(self, **attributes: str) -> Telemetry:
        return Telemetry(attributes, tracer_provider=self.tracing, meter_provider=self.metering)

    @property
    def spans(self) -> dict[str, ReadableSpan]:
        return {span.name: span for span in self.exporter.get_finished_spans()}

    def above(self, name: str) -> str:
        parent = self.spans[name].parent
        return next(
            (span.name for span in self.exporter.get_finished_spans() if parent and span.context == parent),
            "",
        )

    def numbers(self, name: str) -> dict[str, float]:
        """A metric by outcome; of a histogram, how many values it has."""
        data: Any = self.reader.get_metrics_data()
        points = [
            point
            for resource in data.resource_metrics
            for scope in resource.scope_metrics
            for metric in scope.metrics
            if metric.name == name
            for point in metric.data.data_points
        ]
        return {
            str(point.attributes.get("tunekit.outcome", "")): getattr(point, "value", None) or point.count
            for point in points
        }


@pytest.fixture
def seen() -> Iterator[Seen]:
    seen = Seen()
    yield seen
    seen.metering.shutdown()


def test_a_retraining_is_one_tree(tmp_path: Path, seen: Seen) -> None:
    watched = seen.watch(team="support")
    with seen.tracing.get_tracer("host").start_as_current_span("request"):
        telemetry = seen.watch(team="support")
    done = product(tmp_path, Host(0.9)).run(rows("a"), on_event=telemetry)
    watched.close()
    assert done.promoted
    assert seen.above("tunekit.retrain") == "request", "what was current when it was made"
    for state in ("preparing", "training", "evaluating", "promoting"):
        assert seen.above(f"tunekit.retrain.{state}") == "tunekit.retrain"
    assert seen.above("tunekit.job") == seen.above("tunekit.evaluation") == "tunekit.retrain"
    assert seen.above("tunekit.job.running") == "tunekit.job"
    whole = seen.spans["tunekit.retrain"]
    assert whole.attributes is not None and whole.attributes["team"] == "support"
    assert whole.attributes["tunekit.round.state"] == "promoted"
    assert whole.attributes["tunekit.round.id"] == done.round_id
    assert seen.numbers("tunekit.retrainings") == {"promoted": 1}
    assert seen.numbers("tunekit.jobs") == {"succeeded": 1}
    assert seen.numbers("tunekit.evaluation.items")["answered"] >= 400
    again = seen.watch()
    product(tmp_path, Host(0.9)).run(rows("a"), on_event=again)
    again.close()
    assert seen.numbers("tunekit.retrainings") == {"promoted": 1}, "nothing was done, and nothing is told"


def test_no_text_of_a_row_is_in_a_span(tmp_path: Path, seen: Seen) -> None:
    alike = tk.Dataset.from_records([{"prompt": f"a {at}", "completion": "Ada Byron"} for at in range(9)])
    with pytest.raises(tk.DataError, match="Ada Byron"):
        product(tmp_path, Host(0.9)).run(alike, on_event=seen.watch())
    whole = seen.spans["tunekit.retrain"]
    assert whole.attributes is not None and whole.attributes["error.type"] == "failed"
    assert not whole.status.is_ok
    assert "Ada" not in "".join(span.to_json() for span in seen.exporter.get_finished_spans())


def test_a_job_with_its_steps(seen: Seen) -> None:
    telemetry = seen.watch()
    for event in (
        StateChanged(id="1", at=10.0, state=JobState.QUEUED),
        StateChanged(id="2", at=12.0, state=JobState.RUNNING),
        Step(id="3", at=13.0, step=1, tokens_per_s=500.0),
        Step(id="4", at=13.5, step=2),
        Evaluated(id="5", at=14.0, step=2, metrics={"loss": 1.5}),
        StateChanged(id="6", at=15.0, state=JobState.SUCCEEDED),
    ):
        telemetry(event)
    times = {name: (span.start_time, span.end_time) for name, span in seen.spans.items()}
    second = 10**9
    assert times["tunekit.job"] == (10 * second, 15 * second)
    assert times["tunekit.job.queued"] == (10 * second, 12 * second)
    assert times["tunekit.job.running"] == (12 * second, 15 * second)
    (noted,) = seen.spans["tunekit.job"].events
    assert noted.name == "tunekit.evaluated" and noted.attributes is not None
    assert noted.attributes["tunekit.validation.loss"] == 1.5
    assert seen.numbers("tunekit.training.throughput") == {"": 1}
    assert seen.numbers("tunekit.job.duration") == {"succeeded": 1}


def test_jobs_side_by_side_in_coroutines_and_one_that_fails(seen: Seen) -> None:
    async def one(end: JobState) -> None:
        job = await tk.FineTuneJob.submit_async(
            tiny_dataset(),
            "scripted:base",
            backend=ScriptedBackend(script=training_script(end=end)),
            store=MemoryStore(),
        )
        await job.wait_async(on_event=seen.watch())

    async def all_of_them() -> None:
        ends = [JobState.SUCCEEDED] * 3 + [JobState.FAILED]
        await asyncio.gather(*map(one, ends), return_exceptions=True)

    asyncio.run(all_of_them())
    assert seen.numbers("tunekit.jobs") == {"succeeded": 3, "failed": 1}
    roots = [span for span in seen.exporter.get_finished_spans() if span.name == "tunekit.job"]
    assert sorted(span.status.is_ok for span in roots) == [False, True, True, True]
    assert len({span.context.trace_id for span in roots if span.context}) == 4


def test_close_ends_what_is_open_and_trouble_stops_nobody(
    seen: Seen, caplog: pytest.LogCaptureFixture
) -> None:
    with seen.watch() as telemetry:
        telemetry(StateChanged(id="1", at=10.0, state=JobState.RUNNING))
        telemetry(StateChanged(id="2", at="late", state=JobState.RUNNING))  # type: ignore[arg-type]
    assert "what it watches goes on" in caplog.text
    assert seen.spans["tunekit.job"].end_time is not None


def test_without_providers_nothing_happens_and_without_the_package_it_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    telemetry = Telemetry()
    telemetry(StateChanged(id="1", at=10.0, state=JobState.SUCCEEDED))
    for name in [name for name in sys.modules if name.partition(".")[0] == "opentelemetry"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "opentelemetry", None)
    with pytest.raises(tk.MissingExtraError, match="OpenTelemetry") as caught:
        Telemetry()
    assert "tunekit[otel]" in caught.value.hint
