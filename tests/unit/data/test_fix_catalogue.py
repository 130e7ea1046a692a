"""What every built-in fix promises, whatever the rows: ids survive, twice is once, a stream is mended as a dataset is.

And what the lossless ones promise together, since they run unasked: no answer loses or changes a letter.
"""

from __future__ import annotations

import string

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.data import strategies
from tunekit.data.checks.base import CheckContext
from tunekit.data.fixes import catalogue
from tunekit.data.fixes.run import FixedRows, run
from tunekit.data.profiles import profile_of
from tunekit.data.views import answer_text
from tunekit.examples import CompletionExample, Example, LabelledExample

CHAT = CheckContext(profiles=(profile_of("openai"),))
TEXT = CheckContext(prompt_format="text")
FIXES = catalogue.builtin()
ROWS = st.lists(strategies.example(), min_size=1, max_size=5)


def test_names_are_unique_and_say_what_they_do() -> None:
    assert len({fix.name for fix in FIXES}) == len(FIXES)
    for fix in FIXES:
        assert fix.name == fix.name.lower().replace(" ", "-") and fix.says
        assert fix.proposed().name == fix.name


def numbered(rows: list[Example]) -> list[Example]:
    return [row.replace(id=f"a.jsonl:{number}") for number, row in enumerate(rows, start=1)]


@pytest.mark.parametrize("name", [fix.name for fix in FIXES])
@settings(max_examples=10, deadline=None)
@given(rows=ROWS, repeated=st.booleans())
def test_a_fix_keeps_its_promises(name: str, rows: list[Example], repeated: bool) -> None:
    given_rows = numbered(rows + rows if repeated else rows)
    context = TEXT if {fix.name: fix for fix in FIXES}[name].prompt_format == "text" else CHAT
    mended, report = run(given_rows, [name], context)

    ids = [row.id for row in given_rows]
    kept = [row.id for row in mended]
    left_out = set(report.fixes[0].left_out)
    assert kept == [id for id in ids if id not in left_out]

    again, second = run(mended, [name], context)
    assert again == mended
    assert not second.changed_anything

    stream = FixedRows(given_rows, [name], context)
    assert tuple(stream) == tuple(stream) == mended
    assert stream.report == report


WRITTEN = st.text(alphabet=string.ascii_letters + string.digits + " .,:_-", min_size=1, max_size=30).filter(
    str.strip
)
TAUGHT = st.builds(CompletionExample, prompt=WRITTEN, completion=WRITTEN) | st.builds(
    LabelledExample, text=WRITTEN, label=WRITTEN
)


@settings(max_examples=100, deadline=None)
@given(st.lists(TAUGHT, min_size=1, max_size=5), st.sampled_from([CHAT, TEXT, CheckContext()]))
def test_what_runs_unasked_keeps_every_row_and_every_letter_of_an_answer(
    rows: list[Example], context: CheckContext
) -> None:
    given_rows = numbered(rows)
    mended, _ = run(given_rows, (), context)
    assert [row.id for row in mended] == [row.id for row in given_rows]
    assert [answer_text(row).split() for row in mended] == [answer_text(row).split() for row in given_rows]
