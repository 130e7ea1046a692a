"""Specs: what is valid, what a fingerprint is about, and errors that name the field and never its neighbours."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from tunekit import (
    DPO,
    KTO,
    RFT,
    SFT,
    Budget,
    Classify,
    EarlyStopping,
    FullWeights,
    LastLayers,
    LoRA,
    Probe,
    Sampling,
    SpecError,
    TuneSpec,
)
from tunekit.spec import FINGERPRINT_VERSION

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
    seed=st.integers(0, 2**63 - 1),
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


GOLDEN = {
    "fb7389db572dcc95529c0174980256435b3916497b0dbfcfeadcc5a3cfe23ba8": TuneSpec(),
    "6ff2e975e6b3a58db39d0d72b3822ed871c9ab733b07bdf36e96f8fffd75e981": TuneSpec(
        method=SFT(adapter=LoRA(rank=8)), epochs=2, seed=7
    ),
    "0791eba5cfa519b0ef1684411ac858b149e8af7751ca0fcb4ca037835e7b4d2a": TuneSpec(
        method=SFT(adapter=FullWeights()), epochs=2
    ),
    "83b69ee2f8c56d10454bfdf47331eb1cd113955f2e397c495714be2015752f09": TuneSpec(
        method=DPO(beta=0.2), batch_size=8, learning_rate=1e-4
    ),
    "c47a09b93992ad587d195949d1fd1ee6e9425eb17c7e047b7f89d72be6736849": TuneSpec(
        method=RFT(grader={"type": "string_check"}), budget=Budget(max_usd=5)
    ),
    "bc4395dcef942275f3bf93b036650f1a74f831cb28177d6e4cc86e930b859a38": TuneSpec(
        method=Probe(), max_length=512, options={"revision": "main"}
    ),
}


@pytest.mark.parametrize("fingerprint", GOLDEN)
def test_fingerprint_is_the_same_on_every_machine_and_in_every_version(fingerprint: str) -> None:
    # Changing one of these orphans stored runs: the idempotency key of a submission is made of it.
    assert GOLDEN[fingerprint].fingerprint() == fingerprint


def test_defaults_change_only_together_with_the_version() -> None:
    # Defaults are not hashed. When one changes, the same fingerprint would mean another recipe: count the version up,
    # and pin anew what stands here and above.
    plain = {
        "TuneSpec": TuneSpec().model_dump(mode="json"),
        "DPO": DPO().model_dump(mode="json"),
        "KTO": KTO().model_dump(mode="json"),
        "RFT": RFT(grader={}).model_dump(mode="json"),
        "Classify": Classify().model_dump(mode="json"),
        "Probe": Probe().model_dump(mode="json"),
        "LastLayers": LastLayers().model_dump(mode="json"),
        "EarlyStopping": EarlyStopping().model_dump(mode="json"),
    }
    assert (FINGERPRINT_VERSION, plain) == (1, DEFAULTS)


LORA_DEFAULTS = {
    "type": "lora",
    "rank": 32,
    "alpha": None,
    "dropout": 0.0,
    "target_modules": "all-linear",
    "dora": False,
    "rslora": False,
    "init": "default",
    "quantization": None,
}
DEFAULTS = {
    "TuneSpec": {
        "method": {
            "type": "sft",
            "adapter": LORA_DEFAULTS,
            "prompt_format": "auto",
        },
        "epochs": 3.0,
        "batch_size": "auto",
        "learning_rate": "auto",
        "schedule": "linear",
        "warmup_ratio": 0.05,
        "weight_decay": 0.0,
        "max_gradient_norm": 1.0,
        "max_length": None,
        "too_long": "error",
        "micro_batch_size": "auto",
        "checkpoint_every_steps": "auto",
        "evaluate_every_steps": "auto",
        "early_stopping": None,
        "gradient_checkpointing": "auto",
        "compile": "auto",
        "warm_start": None,
        "stay_near": None,
        "keep_fisher": False,
        "seed": 0,
        "name": "",
        "budget": {"max_usd": None, "max_seconds": None, "usd_per_million_tokens": None},
        "options": {},
    },
    "DPO": {
        "type": "dpo",
        "adapter": LORA_DEFAULTS,
        "prompt_format": "auto",
        "beta": 0.1,
        "loss": "sigmoid",
        "label_smoothing": 0.0,
        "margin": 0.5,
    },
    "KTO": {
        "type": "kto",
        "adapter": LORA_DEFAULTS,
        "prompt_format": "auto",
        "beta": 0.1,
        "desirable_weight": 1.0,
        "undesirable_weight": 1.0,
    },
    "RFT": {
        "type": "rft",
        "adapter": LORA_DEFAULTS,
        "grader": {},
        "group_size": 8,
        "max_tokens": 256,
        "temperature": 1.0,
        "kl_weight": 0.0,
    },
    "Classify": {"type": "classify", "adapter": {"type": "full"}, "class_weights": "equal", "dropout": 0.0},
    "Probe": {
        "type": "probe",
        "layer": "auto",
        "pooling": "auto",
        "regularisation": [0.01, 0.1, 1.0, 10.0, 100.0],
        "folds": 5,
        "class_weights": "equal",
    },
    "LastLayers": {"type": "last-layers", "layers": 2},
    "EarlyStopping": {"metric": "loss", "patience": 3, "min_improvement": 0.0},
}


def test_new_field_at_its_default_changes_no_fingerprint() -> None:
    class Later(TuneSpec):
        flavour: str = "plain"

    assert Later(epochs=2).fingerprint() == TuneSpec(epochs=2).fingerprint()
    assert Later(epochs=2, flavour="hot").fingerprint() != TuneSpec(epochs=2).fingerprint()


def test_value_written_out_is_the_same_recipe_as_the_default() -> None:
    spelled = TuneSpec.model_validate(TuneSpec(epochs=2).model_dump())
    assert spelled.fingerprint() == TuneSpec(epochs=2).fingerprint()
    # Without its type, a method at its own defaults could be any of them.
    assert len({TuneSpec(method=method).fingerprint() for method in (SFT(), DPO(), Classify(), Probe())}) == 4


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


# --- made directly ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: TuneSpec(epochs=-1), "epochs is -1, should be greater than 0"),
        (lambda: LoRA(rnk=3), "rnk is not a field; did you mean 'rank'?"),  # type: ignore[call-arg]
        (lambda: Sampling(max_tokens=0), "max_tokens is 0, should be greater than 0"),
        (lambda: Budget(max_usd=0), "max_usd is 0"),
        (lambda: TuneSpec(learing_rate=1), "learing_rate is not a field; did you mean 'learning_rate'?"),  # type: ignore[call-arg]
        (
            lambda: Probe(zzz=1),  # type: ignore[call-arg]
            "zzz is not a field (fields are type, layer, pooling, regularisation, folds, class_weights)",
        ),
        (lambda: Probe(regularisation=()), "regularisation"),
        (
            lambda: Probe(regularisation=(1.0, 0.0)),
            "regularisation[1] is 0.0, should be greater than or equal to 0.000000001",
        ),
        (lambda: TuneSpec(batch_size="many"), "batch_size should be a valid integer or be 'auto'"),
        (lambda: TuneSpec(batch_size=0), "batch_size is 0, should be greater than 0 or be 'auto'"),
        (lambda: LoRA(target_modules=["a", 1]), "target_modules[1] is 1, should be a valid string"),
        (lambda: RFT(), "grader is wrong: Field required"),  # type: ignore[call-arg]
        (lambda: SFT(adapter={"type": "lora", "rnk": 3}), "adapter.rnk is not a field; did you mean 'rank'?"),
        (
            lambda: TuneSpec(method={"type": "dpo", "adapter": {"type": "lora", "rank": 0}}),
            "method.adapter.rank is 0, should be greater than 0",
        ),
        (lambda: TuneSpec(method={"type": "magic"}), "method is wrong: Input tag 'magic'"),
        (lambda: TuneSpec(budget={"max_usd": -5}), "budget.max_usd is -5, should be greater than 0"),
        (lambda: TuneSpec(options={"deep": {"x": float("nan")}}), "options.deep"),
        (lambda: TuneSpec(seed=-1), "seed is -1, should be greater than or equal to 0"),
        (lambda: Sampling(seed=2**63), f"seed is {2**63}, should be less than {2**63}"),
    ],
)
def test_wrong_argument_is_a_spec_error_that_names_the_field(
    make: Callable[[], object], message: str
) -> None:
    with pytest.raises(SpecError) as caught:
        make()
    assert message in caught.value.message
    assert caught.value.hint
    assert caught.value.__cause__ is None and caught.value.__suppress_context__
    assert pickle.loads(pickle.dumps(caught.value)).details == caught.value.details


def test_every_wrong_field_is_named_once_and_no_neighbours_value_is_shown() -> None:
    secret = "sk-secret"
    with pytest.raises(SpecError) as caught:
        TuneSpec(  # type: ignore[call-arg]
            epochs=0,
            name="n" * 65,
            options={"key": secret},
            api_key=secret,
            method={"type": "sft", "x": secret},
        )
    assert caught.value.details["fields"] == ["method.x", "epochs", "name", "api_key"]
    assert secret not in str(caught.value) + repr(caught.value.details)
    with pytest.raises(ValidationError) as by_pydantic:
        TuneSpec.model_validate({"api_key": secret})
    assert secret not in str(by_pydantic.value)


def test_largest_seed_is_taken_and_any_arm_of_a_union_will_do() -> None:
    assert Sampling(seed=2**63 - 1).seed == 2**63 - 1
    assert (TuneSpec(batch_size=4).batch_size, TuneSpec(batch_size="auto").batch_size) == (4, "auto")
    assert LoRA(target_modules=("q", "v")).target_modules == ("q", "v")
    assert isinstance(TuneSpec(method={"type": "sft", "adapter": {"type": "full"}}).method, SFT)


@given(specs)
def test_copies_and_pickles_are_equal(spec: TuneSpec) -> None:
    assert pickle.loads(pickle.dumps(spec)) == spec == copy.deepcopy(spec)
    assert spec.model_copy(update={"epochs": 9.0}).epochs == 9.0


def test_specs_do_not_change() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        TuneSpec().epochs = 5  # type: ignore[misc]
