"""Where to begin with data of some kind: a method, its epochs, how much to hold out. Rules of thumb, with sources.

Knows what `statistics` has counted; not what any backend can do (`Dataset.check` and the preflight of a job say that).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from tunekit.data.advice.cost import openai_epochs
from tunekit.data.checks.base import CheckContext
from tunekit.data.statistics import Statistics

if TYPE_CHECKING:
    from tunekit.spec import Method, TuneSpec

_FEW_ROWS = 100
_FEW_ROWS_OF_A_CLASS = 16
"""Below these a classifier on frozen features, which has little to overfit with, comes first: our rule of thumb."""
_MAX_TEST_ROWS = 1_000
_TEST_SHARE = 0.2


def spec_for(found: Statistics, context: CheckContext, classes: int) -> TuneSpec | None:
    """The recipe to begin with; None where `first_steps` must come first."""
    from tunekit.spec import SFT, Classify, Probe, TuneSpec

    method = _method(found, context, classes)
    if isinstance(method, (SFT, Classify)):
        # OpenAI's rule for its own service, and the only published one that knows the number of rows.
        return TuneSpec(method=method, epochs=openai_epochs(found.rows))
    if isinstance(method, Probe):
        return TuneSpec(method=method, epochs=1)  # its features never change
    return TuneSpec(method=method) if method else None


def _method(found: Statistics, context: CheckContext, classes: int) -> Method | None:
    from tunekit.spec import DPO, RFT, SFT, Classify, Probe

    kind = next(iter(found.kinds)) if len(found.kinds) == 1 else ""
    if kind == "preference":
        return DPO()
    if kind == "prompt" and len(found.reference_keys) == 1:
        return RFT(grader=_grader(found.reference_keys[0]))
    if kind == "labelled" and _trains(context, kind):
        few = found.rows < max(_FEW_ROWS, _FEW_ROWS_OF_A_CLASS * classes)
        return Probe() if few else Classify()
    if kind == "completion" and context.prompt_format == "text":
        return SFT(prompt_format="text")
    return SFT() if kind in ("chat", "completion", "labelled", "segments") else None


def first_steps(found: Statistics, context: CheckContext) -> Iterator[str]:
    """What must be done, or known, before the recipe can be used."""
    if len(found.kinds) > 1:
        yield "train on rows of one kind: data.filter(lambda row: row.kind == ...)"
    elif "prompt" in found.kinds:
        fits = len(found.reference_keys) == 1
        yield (
            "the grader wants the reference word for word"
            if fits
            else "write a grader that uses the references"
        )
    elif "unpaired" in found.kinds:
        yield "train on the good answers: data.filter(lambda row: row.desirable).to_chat()"
    else:
        for kind in found.kinds:
            if not _trains(context, kind):
                yield f"this target trains on no {kind} rows: data.to_chat()"


def _trains(context: CheckContext, kind: str) -> bool:
    return all(kind in profile.kinds for profile in context.profiles)


def _grader(key: str) -> dict[str, Any]:
    return {
        "type": "string_check",
        "name": key,
        "operation": "eq",
        "input": "{{sample.output_text}}",
        "reference": f"{{{{item.{key}}}}}",
    }


def held_out(rows: int) -> float | int | None:
    """A fifth, and at most 1,000 rows: what `fine_tunes.prepare_data` held out."""
    if rows < 10:
        return None
    return _MAX_TEST_ROWS if rows * _TEST_SHARE > _MAX_TEST_ROWS else _TEST_SHARE


def code_of(spec: TuneSpec) -> str:
    """The spec as it would be typed: what was set, and no defaults."""
    method = _call(spec.method, spec.method.model_fields_set)
    others = [f"epochs={spec.epochs:g}"] if "epochs" in spec.model_fields_set else []
    return f"tk.TuneSpec({', '.join([f'method={method}', *others])})"


def _call(model: Any, names: Iterable[str]) -> str:
    set_to = ((name, getattr(model, name)) for name in sorted(names))
    shown = ", ".join(f"{name}={value!r}" for name, value in set_to if value != "auto")
    return f"tk.{type(model).__name__}({shown})"
