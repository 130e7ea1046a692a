"""The new model against the one in use, on today's tests, and what the gate says. Knows evaluators; no jobs.

The model in use is asked again, whatever its stored score: that is of another test. Of weights that cannot have changed
answers are kept, so asking again costs what is new in the test.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from tunekit._files import make_private_directory, write_atomic
from tunekit.backends import registry as backends
from tunekit.backends.base import Prompt
from tunekit.errors import TunekitError
from tunekit.evaluation.arms.arm import Arm, Side
from tunekit.evaluation.comparison import Comparison
from tunekit.evaluation.evaluator import Evaluator
from tunekit.refs import Target
from tunekit.retrain.gate.decision import Decision
from tunekit.retrain.registry.records import ModelVersion
from tunekit.retrain.rounds.preparing import LEARNED
from tunekit.retrain.rounds.promoting import entered, in_use
from tunekit.retrain.rounds.records import Round, RoundState
from tunekit.retrain.rounds.terms import Terms
from tunekit.spec import Classify, Probe, TuneSpec

if TYPE_CHECKING:
    from tunekit.retrain.rounds.driving import Driver

_ENDS = {"reject": RoundState.REJECTED, "inconclusive": RoundState.INCONCLUSIVE}
_log = logging.getLogger(__name__)


async def evaluate(driver: Driver, round_: Round) -> Round:
    """Compare, decide, and register what was trained.

    Raises:
        EvaluationError: The two cannot be compared.
        NotFoundError: The gate asks of something that is not compared.
    """
    terms = driver.terms
    champion = await asyncio.to_thread(in_use, terms.registry, terms.pipeline, terms.alias)
    round_ = round_.model_copy(update={"champion": champion.number if champion else None})
    found: dict[str, Comparison] = {}

    async def compare() -> None:
        for name, evaluator in {"": terms.evaluator, **terms.tasks}.items():
            found[name] = await _compared(driver, round_, champion, evaluator)

    await driver.within(round_, compare())
    whole, tasks = found.pop(""), found
    whole = await asyncio.to_thread(_with_leakage, terms, round_, whole)
    has_moved = champion is not None and round_.label_drift is not None
    gate = terms.gate if has_moved else terms.gate.model_copy(update={"max_label_drift": None})
    assert round_.amounts is not None  # it was prepared
    decision = gate.decide(
        whole,
        tasks={name: comparison for name, comparison in tasks.items() if _is_guarded(terms, name)},
        new_rows=round_.amounts.new,
        label_drift=0.0 if round_.label_drift is None else round_.label_drift,
    )
    report = await asyncio.to_thread(_reported, terms.report(round_.round_id), whole, tasks, decision)
    version = await _registered(terms, round_, decision, report)
    facts = {
        "decision": decision,
        "report": str(report),
        "version": version.number,
        "champion": round_.champion,
    }
    if not decision.passes:
        return await driver.move(round_, _ENDS[decision.verdict], reason=_why(decision), **facts)
    return await asyncio.to_thread(entered, driver.mover, round_, terms.approval, terms.rollout, **facts)


async def _compared(
    driver: Driver, round_: Round, champion: ModelVersion | None, evaluator: Evaluator
) -> Comparison:
    terms = driver.terms
    before = champion.model if champion is not None else await asyncio.to_thread(_baseline, terms, round_)
    assert round_.model is not None  # it was trained
    return await evaluator.compare_async(
        before, str(round_.model), backend=terms.backend, on_progress=driver.tell
    )


def _baseline(terms: Terms, round_: Round) -> Side:
    """What the first model of a pipeline has to beat: what it was told, the most frequent class, or the base."""
    if terms.baseline is not None:
        return terms.baseline
    if not isinstance(TuneSpec.model_validate(round_.recipe).method, Classify | Probe):
        return str(Target(round_.target))
    labels = terms.files.read(round_.train).targets()
    return Arm(model=_always(labels), name="the most frequent class")


def _always(labels: Counter[str]) -> Callable[[Prompt], str]:
    ((label, _),) = labels.most_common(1)

    def answer(prompt: Prompt) -> str:
        return label

    return answer


def _is_guarded(terms: Terms, task: str) -> bool:
    return any(rail.task == task for rail in terms.gate.guardrails)


def _with_leakage(terms: Terms, round_: Round, comparison: Comparison) -> Comparison:
    """With what of the test is in the training data, where the evaluator could not know those."""
    before, after = comparison.evaluations
    if after.leakage is not None:
        return comparison
    leakage = terms.evaluator.check_leakage(terms.files.read(round_.train))
    return comparison.model_copy(
        update={"evaluations": (before, after.model_copy(update={"leakage": leakage}))}
    )


def _reported(path: Path, whole: Comparison, tasks: dict[str, Comparison], decision: Decision) -> Path:
    make_private_directory(path)
    whole.write(path / "comparison.html")
    write_atomic(path / "comparison.json", whole.to_json().encode("utf-8", "surrogatepass"))
    for number, (name, comparison) in enumerate(sorted(tasks.items()), start=1):
        body = comparison.to_json().encode("utf-8", "surrogatepass")
        write_atomic(path / f"task-{number}.json", body)
        _log.debug("task %s of the report is %r", number, name)
    write_atomic(path / "decision.json", decision.to_json(indent=1).encode())
    return path


async def _registered(terms: Terms, round_: Round, decision: Decision, report: Path) -> ModelVersion:
    assert round_.model is not None
    digest = await _digest(terms, round_)
    return await asyncio.to_thread(
        terms.registry.register,
        terms.pipeline,
        str(round_.model),
        spec=TuneSpec.model_validate(round_.recipe),
        data={"train": round_.train, "test": terms.evaluator.provenance.test_fingerprint},
        base=round_.target,
        base_ends=terms.base_ends,
        code_version=terms.code_version,
        digest=digest,
        job=round_.job,
        evaluation=str(report),
        parent=round_.champion,
        note=decision.verdict,
        facts={LEARNED: round_.position, "round": round_.round_id},
    )


async def _digest(terms: Terms, round_: Round) -> str:
    assert round_.model is not None
    try:
        serving = backends.serving(round_.model.backend, terms.backend, terms.settings)
        version = await serving.version(round_.model.id)
    except TunekitError as error:
        _log.warning("the content of %s is not known: %s", round_.model, error.message)
        return ""
    return version.name if version.fixed else ""


def _why(decision: Decision) -> str:
    first = next((check for check in decision.checks if check.outcome != "passed"), None)
    return f"{first.name}: {first.reason}" if first else decision.verdict
