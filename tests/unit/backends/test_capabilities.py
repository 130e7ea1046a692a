"""Preflight: everything that does not fit is said at once, before anything is sent."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import pytest

from tests.processes import run_python
from tunekit import (
    DPO,
    RFT,
    SFT,
    ChatExample,
    Classify,
    CompletionExample,
    EarlyStopping,
    FullWeights,
    LabelledExample,
    LoRA,
    Message,
    PreferenceExample,
    PreflightError,
    Probe,
    PromptExample,
    Segment,
    SegmentsExample,
    TuneSpec,
    UnpairedExample,
)
from tunekit.backends import Capabilities, preflight
from tunekit.backends.capabilities import METHOD_KINDS
from tunekit.data.dataset import Dataset
from tunekit.examples import EXAMPLE_KINDS, Example

USER = (Message(role="user", content="2+2?"),)
ROWS: dict[str, Example] = {
    "chat": ChatExample(messages=(*USER, Message(role="assistant", content="4"))),
    "completion": CompletionExample(prompt="2+2?", completion="4"),
    "preference": PreferenceExample(messages=USER, chosen="4", rejected="5"),
    "prompt": PromptExample(messages=USER, reference={"answer": "4"}),
    "labelled": LabelledExample(text="2+2?", label="sum"),
    "unpaired": UnpairedExample(messages=USER, completion="4", desirable=True),
    "segments": SegmentsExample(segments=(Segment(text="4", learn=True),)),
}
SPECS = {
    "sft": TuneSpec(method=SFT()),
    "dpo": TuneSpec(method=DPO()),
    "rft": TuneSpec(method=RFT(grader={"type": "string_check"})),
    "classify": TuneSpec(method=Classify()),
    "probe": TuneSpec(method=Probe()),
}
ALL = Capabilities(methods=frozenset(SPECS))
TODAY = date(2026, 11, 22)


def problems(
    spec: TuneSpec, capabilities: Capabilities, *kinds: str, validation: str = "", today: date = TODAY
) -> tuple[str, ...]:
    train = Dataset(ROWS[kind] for kind in kinds)
    held_out = Dataset([ROWS[validation]]) if validation else None
    try:
        preflight(spec, train, held_out, capabilities, backend="acme", today=today)
    except PreflightError as error:
        return error.problems
    return ()


@pytest.mark.parametrize("kind", EXAMPLE_KINDS)
@pytest.mark.parametrize("method", SPECS)
def test_each_method_takes_its_own_kinds_of_example(method: str, kind: str) -> None:
    fits = kind in METHOD_KINDS[method]
    assert bool(problems(SPECS[method], ALL, kind)) is not fits
    good = next(iter(METHOD_KINDS[method]))
    assert bool(problems(SPECS[method], ALL, good, validation=kind)) is not fits


@pytest.mark.parametrize("method", SPECS)
def test_method_that_is_not_claimed_is_refused(method: str) -> None:
    kind = next(iter(METHOD_KINDS[method]))
    without = Capabilities(methods=frozenset(SPECS) - {method})
    assert problems(SPECS[method], without, kind) == (f"method {method!r} is not supported",)


@pytest.mark.parametrize(("adapter", "other"), [(LoRA(), "full"), (FullWeights(), "lora")])
def test_adapter_that_is_not_claimed_is_refused(adapter: LoRA | FullWeights, other: str) -> None:
    spec = TuneSpec(method=SFT(adapter=adapter))
    capabilities = Capabilities(methods=frozenset({"sft"}), adapters=frozenset({other}))
    assert problems(spec, capabilities, "chat") == (f"adapter {adapter.type!r} is not supported",)


@pytest.mark.parametrize(("count", "fits"), [(1, False), (2, True), (3, True), (4, False)])
def test_number_of_examples_has_its_limits(count: int, fits: bool) -> None:
    capabilities = Capabilities(methods=frozenset({"sft"}), min_examples=2, max_examples=3)
    found = problems(TuneSpec(), capabilities, *["chat"] * count)
    assert (not found) is fits
    assert fits or f"has {count} examples" in found[0]


def test_empty_data_never_fit() -> None:
    assert problems(TuneSpec(), ALL) == ("training data has 0 examples, at least 1 are needed",)


def test_sunset_is_the_first_day_without() -> None:
    capabilities = Capabilities(methods=frozenset({"sft"}), sunset=date(2027, 1, 6))
    assert problems(TuneSpec(), capabilities, "chat", today=date(2027, 1, 5)) == ()
    assert problems(TuneSpec(), capabilities, "chat", today=date(2027, 1, 6)) == (
        "it stopped taking jobs on 2027-01-06",
    )


def test_everything_that_is_wrong_is_said_at_once_with_what_would_fit() -> None:
    spec = TuneSpec(method=DPO(adapter=FullWeights()), options={"b": 1, "a": 2, "known": 3})
    capabilities = Capabilities(
        methods=frozenset({"sft"}),
        adapters=frozenset({"lora"}),
        options=frozenset({"known"}),
        min_examples=10,
        sunset=TODAY,
    )
    with pytest.raises(PreflightError) as caught:
        preflight(
            spec,
            Dataset([ROWS["labelled"], ROWS["chat"]]),
            Dataset([ROWS["labelled"]]),
            capabilities,
            backend="acme",
            today=TODAY,
        )
    assert caught.value.problems == (
        "method 'dpo' is not supported",
        "adapter 'full' is not supported",
        "option 'a' is not known",
        "option 'b' is not known",
        "training data holds chat and labelled examples, method 'dpo' needs preference",
        "training data has 2 examples, at least 10 are needed",
        "validation data holds labelled examples, method 'dpo' needs preference",
        "it stopped taking jobs on 2026-11-22",
    )
    assert caught.value.hint == (
        "it supports methods sft with adapters lora and options known;"
        " other installed backends, which may: local, openai"
    )
    assert caught.value.backend == "acme"


def test_data_of_the_wrong_kind_send_nobody_to_another_backend() -> None:
    with pytest.raises(PreflightError) as caught:
        preflight(TuneSpec(), Dataset([ROWS["labelled"]]), None, ALL, backend="acme", today=TODAY)
    assert "other installed" not in caught.value.hint


def test_backend_is_not_sent_to_itself_and_nothing_is_imported_to_say_who_else_is_there() -> None:
    run_python(
        "import sys\n"
        "from datetime import date\n"
        "import tunekit as tk\n"
        "from tunekit.backends import Capabilities, preflight\n"
        "data = tk.Dataset([tk.CompletionExample(prompt='a', completion='b')])\n"
        "none = Capabilities(methods=frozenset())\n"
        "hints = []\n"
        "for name in ('acme', 'local'):\n"
        "    try: preflight(tk.TuneSpec(), data, None, none, backend=name, today=date(2026, 1, 1))\n"
        "    except tk.PreflightError as error: hints.append(error.hint)\n"
        "assert 'local' in hints[0] and 'local' not in hints[1], hints\n"
        "assert 'tunekit.backends.local' not in sys.modules\n"
    )


def test_what_is_not_claimed_is_not_supported() -> None:
    assert Capabilities(methods=frozenset(), verbs=frozenset({"find"})).supports("find")
    assert not Capabilities(methods=frozenset()).supports("find")


def test_labels_that_are_to_be_generated_are_told_how() -> None:
    [problem] = problems(SPECS["sft"], ALL, "labelled")
    assert problem.endswith("needs chat or completion; data.to_completion() makes them so")
    assert problems(SPECS["sft"], ALL, "completion") == ()


def test_early_stopping_needs_validation_data() -> None:
    spec = TuneSpec(early_stopping=EarlyStopping())
    honours = replace(ALL, spec_fields=frozenset({"early_stopping"}))
    (problem,) = problems(spec, honours, "completion")
    assert "validation data" in problem
    assert problems(spec, honours, "completion", validation="completion") == ()


@pytest.mark.parametrize(
    ("spec", "name"),
    [(TuneSpec(learning_rate="range-test"), "range-test"), (TuneSpec(compile=True), "compile")],
)
def test_what_only_some_backends_do_is_refused_by_the_others(spec: TuneSpec, name: str) -> None:
    (problem,) = problems(spec, ALL, "completion")
    assert f"{name}" in problem and "is not supported" in problem
    assert problems(spec, replace(ALL, spec_fields=frozenset({name})), "completion") == ()


def test_not_to_compile_is_no_request() -> None:
    assert problems(TuneSpec(compile=False), ALL, "completion") == ()


def test_a_range_test_needs_a_loss_that_falls() -> None:
    tests_rates = replace(ALL, spec_fields=frozenset({"range-test"}))
    spec = SPECS["rft"].model_copy(update={"learning_rate": "range-test"})
    (problem,) = problems(spec, tests_rates, "prompt")
    assert "says nothing about method 'rft'" in problem


@pytest.mark.parametrize(("kind", "method"), [("completion", Classify()), ("completion", Probe())])
def test_pairs_for_a_classifier_are_to_be_read_as_labelled(kind: str, method: Classify | Probe) -> None:
    with pytest.raises(PreflightError, match=r"Dataset\.load\(\.\.\., kind='labelled'\)") as caught:
        preflight(TuneSpec(method=method), Dataset([ROWS[kind]]), None, ALL, backend="acme", today=TODAY)
    assert "supports methods" not in caught.value.hint


def test_what_early_stopping_lacks_is_said() -> None:
    spec, stops = (
        TuneSpec(early_stopping=EarlyStopping()),
        replace(ALL, spec_fields=frozenset({"early_stopping"})),
    )
    with pytest.raises(PreflightError, match="pass validation=") as caught:
        preflight(spec, Dataset([ROWS["chat"]]), None, stops, backend="acme", today=TODAY)
    assert "supports methods" not in caught.value.hint


def test_validation_data_without_rows_are_to_be_left_out() -> None:
    with pytest.raises(PreflightError, match="leave validation out"):
        preflight(TuneSpec(), Dataset([ROWS["chat"]]), Dataset(), ALL, backend="acme", today=TODAY)
