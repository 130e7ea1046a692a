"""Specs: what is valid, what a fingerprint is about, and errors that name the field and never its neighbours."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from tunekit import DPO, RFT, SFT, Budget, Classify, FullWeights, LoRA, Probe, Sampling, SpecError, TuneSpec

positive = st.floats(min_value=1e-9, max_value=1e6)
adapters = st.one_of(
    st.builds(
        LoRA,
        rank=st.integers(1, 512),
        alpha=st.none() | positive,
        dropout=st.floats(0, 0.99),
        target_modules=st.just("all-linear") | st.lists(st.text(max_size=8), max_size=3).map(tuple),
        dora=st.booleans(),
        rslora=st.booleans(),
    ),
    st.just(FullWeights()),
)
methods = st.one_of(
    st.builds(SFT, adapter=adapters, prompt_format=st.sampled_from(["auto", "chat", "text"])),
    st.builds(DPO, adapter=adapters, beta=positive),
    st.builds(RFT, adapter=adapters, grader=st.dictionaries(st.text(max_size=5), st.integers(), max_size=2)),
    st.builds(Classify, adapter=adapters),
    st.just(Probe()),
)
specs = st.builds(
    TuneSpec,
    method=methods,
    epochs=positive,
    batch_size=st.integers(1, 4096) | st.just("auto"),
    learning_rate=positive | st.just("auto"),
    warmup_ratio=st.floats(0, 0.99),
    max_length=st.none() | st.integers(1, 10**6),
    seed=st.integers(-(2**31), 2**31),
    name=st.text(max_size=64),
    budget=st.builds(Budget, max_usd=st.none() | positive),
    options=st.dictionaries(st.text(max_size=5), st.integers() | st.text(max_size=5), max_size=3),
)


@given(specs)
def test_round_trip_through_json(spec: TuneSpec) -> None:
    again = TuneSpec.from_json(spec.model_dump_json())
    assert again == spec
    assert again.fingerprint() == spec.fingerprint()


@given(specs, st.text(max_size=64))
def test_label_is_not_part_of_the_fingerprint(spec: TuneSpec, name: str) -> None:
    assert spec.model_copy(update={"name": name}).fingerprint() == spec.fingerprint()


@given(specs, specs)
def test_equal_fingerprints_mean_equal_recipes(first: TuneSpec, second: TuneSpec) -> None:
    unnamed = [spec.model_copy(update={"name": ""}) for spec in (first, second)]
    assert (first.fingerprint() == second.fingerprint()) == (unnamed[0] == unnamed[1])


def test_fingerprint_is_the_same_on_every_machine() -> None:
    # Changing this orphans every stored run: the idempotency key of a submission is made of it.
    assert TuneSpec().fingerprint() == FINGERPRINT_OF_THE_DEFAULT


FINGERPRINT_OF_THE_DEFAULT = "2f7051405754d07cfc7d3165cf3b5f565cd180d3f3750366e57e0b6fb3f27e66"


@pytest.mark.parametrize(
    "wrong",
    [
        {"epochs": 0},
        {"epochs": -1},
        {"epochs": float("nan")},
        {"epochs": float("inf")},
        {"batch_size": 0},
        {"batch_size": "many"},
        {"learning_rate": 0},
        {"warmup_ratio": 1.0},
        {"schedule": "sawtooth"},
        {"name": "x" * 65},
        {"method": {"type": "magic"}},
        {"method": {"type": "sft", "adapter": {"type": "lora", "rank": 0}}},
        {"method": {"type": "probe", "adapter": {"type": "lora"}}},
        {"method": {"type": "sft", "beta": 0.1}},
        {"learing_rate": 1e-4},
    ],
)
def test_what_makes_no_sense_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        TuneSpec.model_validate(wrong)


@pytest.mark.parametrize(
    ("cls", "wrong"), [(Sampling, {"top_p": 0}), (Sampling, {"temperature": -1}), (Budget, {"max_usd": 0})]
)
def test_parts_are_checked_too(cls: type[Sampling | Budget], wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        cls.model_validate(wrong)


def test_stored_spec_that_is_wrong_names_every_field_and_no_value() -> None:
    text = '{"epochs": 0, "api_key": "sk-secret", "method": {"type": "sft", "adapter": {"type": "lora", "rank": 0}}}'
    with pytest.raises(SpecError) as caught:
        TuneSpec.from_json(text)
    message = str(caught.value)
    for field in ("epochs", "api_key", "rank"):
        assert field in message
    assert "sk-secret" not in message
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__


@pytest.mark.parametrize("text", ["", "nonsense", b"\xff", "[]", "null"])
def test_text_that_is_no_spec_is_a_spec_error(text: str | bytes) -> None:
    with pytest.raises(SpecError, match="not a valid TuneSpec"):
        TuneSpec.from_json(text)


def test_specs_do_not_change() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        TuneSpec().epochs = 5  # type: ignore[misc]
