"""Canonical JSON: equal values have equal bytes, different values have different ones."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.processes import run_python
from tunekit._canonical import canonical_json, fingerprint, fingerprint_rows

scalars = (
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()
)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
)


@given(values)
def test_is_json_and_a_fixed_point(value: object) -> None:
    encoded = canonical_json(value)
    again = json.loads(encoded.decode("utf-8", "surrogatepass"))
    assert again == value
    assert canonical_json(again) == encoded


@given(st.dictionaries(st.text(max_size=4), scalars, min_size=2, max_size=6), st.randoms())
def test_order_of_keys_does_not_matter(value: dict[str, object], random: object) -> None:
    items = list(value.items())
    random.shuffle(items)  # type: ignore[attr-defined]
    assert fingerprint(dict(items)) == fingerprint(value)


@given(values, values)
def test_different_values_have_different_bytes(one: object, two: object) -> None:
    if canonical_json(one) == canonical_json(two):
        assert one == two


@pytest.mark.parametrize("value", [float("nan"), float("inf"), [1.0, float("-inf")]])
def test_numbers_without_a_json_form_are_refused(value: object) -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        canonical_json(value)


@pytest.mark.parametrize("value", [{1, 2}, object(), b"bytes"])
def test_things_without_a_json_form_are_refused(value: object) -> None:
    with pytest.raises(TypeError):
        canonical_json(value)


def test_lone_surrogates_stay_distinct() -> None:
    assert len({fingerprint(text) for text in ("\ud800", "\ud801", "?", "")}) == 4


@given(st.lists(values, max_size=4), st.lists(values, max_size=4))
def test_rows_are_kept_apart_and_in_order(one: list[object], two: list[object]) -> None:
    same = [canonical_json(row) for row in one] == [canonical_json(row) for row in two]
    assert (fingerprint_rows(one) == fingerprint_rows(two)) == same


def test_boundaries_between_rows_count() -> None:
    assert fingerprint_rows(["ab", "c"]) != fingerprint_rows(["a", "bc"])
    assert fingerprint_rows([]) != fingerprint_rows([""])


def test_fingerprints_do_not_depend_on_the_process() -> None:
    script = "from tunekit._canonical import fingerprint\nprint(fingerprint({'b': [1, 2.5, None], 'a': 'é'}))"
    assert {run_python(script), run_python(script)} == {fingerprint({"a": "é", "b": [1, 2.5, None]}) + "\n"}
