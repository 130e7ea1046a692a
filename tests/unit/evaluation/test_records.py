"""Records are written and read whole, whatever a model wrote."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunekit.errors import SpecError
from tunekit.evaluation.results import ItemResult

# Two halves in order are the character that they make, in JSON as in UTF-16.
texts = st.text(st.characters() | st.sampled_from("\ud800\udfff\x00\u2028")).map(
    lambda text: text.encode("utf-16", "surrogatepass").decode("utf-16", "surrogatepass")
)


@given(texts, st.floats(allow_nan=False))
def test_whatever_a_model_wrote_comes_back(text: str, seconds: float) -> None:
    result = ItemResult(
        id="a", answer=text, choices={text: text}, seconds=seconds, log_probs={"p": (-1.0, -math.inf)}
    )
    for written in (result.to_json(), result.to_json(indent=1), result.to_json().encode()):
        assert ItemResult.from_json(written) == result


@pytest.mark.parametrize(
    "text",
    ['{"id": "\\ud8', '["\\ud800"]', '{"id": "a", "more": "\\ud800"}', "[" * 10_000 + '"\\ud800'],
)
def test_what_is_no_record_is_refused(text: str) -> None:
    with pytest.raises(SpecError):
        ItemResult.from_json(text)
