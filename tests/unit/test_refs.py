"""References: one grammar, split at the first colon, a plain string everywhere else."""

from __future__ import annotations

import copy
import json
import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ValidationError

from tunekit import JobRef, ModelRef, RefError, Target
from tunekit.refs import Ref

KINDS = (Target, JobRef, ModelRef)
backends = st.from_regex(r"[a-z][a-z0-9_-]{0,39}", fullmatch=True)
identifiers = st.text(st.characters(exclude_categories=["Cc", "Cs"]), min_size=1, max_size=200).filter(
    str.strip
)


@given(backend=backends, identifier=identifiers, kind=st.sampled_from(KINDS))
def test_splits_at_the_first_colon_and_joins_again(backend: str, identifier: str, kind: type[Ref]) -> None:
    ref = kind.of(backend, identifier)
    assert (ref.backend, ref.id, str(ref)) == (backend, identifier, f"{backend}:{identifier}")
    assert kind(str(ref)) == ref


@pytest.mark.parametrize(
    ("text", "backend", "identifier"),
    [
        ("local:Qwen/Qwen3-0.6B", "local", "Qwen/Qwen3-0.6B"),
        ("openai:ft:gpt-4.1-mini:acme::x", "openai", "ft:gpt-4.1-mini:acme::x"),
        ("local:./examples/models/nano", "local", "./examples/models/nano"),
        ("local:C:\\models\\nano", "local", "C:\\models\\nano"),
    ],
)
def test_ids_may_hold_colons_and_slashes(text: str, backend: str, identifier: str) -> None:
    assert (Target(text).backend, Target(text).id) == (backend, identifier)


@pytest.mark.parametrize(
    "text",
    [
        "",
        ":",
        "local",
        "local:",
        "local: ",
        ":model",
        "Local:model",
        "lo cal:model",
        "1x:model",
        "a" * 41 + ":m",
    ],
)
def test_text_without_both_halves_is_refused_with_its_value(text: str) -> None:
    with pytest.raises(RefError) as caught:
        Target(text)
    assert repr(text) in caught.value.message
    assert "<backend>:<id>" in caught.value.hint


@pytest.mark.parametrize(
    "text", ["local:a\nb", "local:a\x00b", "local:a\x9bb", "local:\ud800", "local:" + "x" * 1024]
)
def test_control_characters_and_endless_ids_are_refused(text: str) -> None:
    with pytest.raises(RefError, match="too long or holds a control character"):
        JobRef(text)


def test_only_strings_are_references() -> None:
    with pytest.raises(RefError, match="must be a string, not int"):
        ModelRef(7)  # type: ignore[arg-type]


@given(st.text(max_size=60))
def test_any_text_is_a_reference_or_a_ref_error(text: str) -> None:
    try:
        ref = ModelRef(text)
    except RefError:
        return
    assert f"{ref.backend}:{ref.id}" == text


@pytest.mark.parametrize("kind", KINDS)
def test_is_a_plain_string_that_keeps_its_kind(kind: type[Ref]) -> None:
    ref = kind("local:nano")
    assert ref == "local:nano"
    assert hash(ref) == hash("local:nano")
    assert json.dumps({"ref": ref}) == '{"ref": "local:nano"}'
    assert repr(ref) == f"{kind.__name__}('local:nano')"
    for twin in (pickle.loads(pickle.dumps(ref)), copy.deepcopy(ref)):
        assert (type(twin), twin) == (kind, ref)


def test_pydantic_models_may_hold_one() -> None:
    class Alias(BaseModel):
        model: ModelRef

    alias = Alias.model_validate_json('{"model": "local:nano"}')
    assert type(alias.model) is ModelRef
    assert alias.model_dump_json() == '{"model":"local:nano"}'
    with pytest.raises(ValidationError, match="is not a ModelRef"):
        Alias.model_validate({"model": "nano"})
