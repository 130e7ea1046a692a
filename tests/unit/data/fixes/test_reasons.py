"""Why a row was left out because of another: that one is named. Knows reports; what is alike is tested elsewhere."""

from __future__ import annotations

import pytest

from tunekit import Dataset, DatasetStream

QUESTION = "Where is the parcel that I ordered on Monday from your shop in Aachen, and when will it be here"
PASSAGE = "our shop in Aachen is open on every day of the week but Sunday from nine to six"
ROWS = [
    {"prompt": f"{QUESTION}?", "completion": "It is on its way, and will be with you on Friday."},
    {
        "prompt": "How do I send something back?",
        "completion": f"Bring it along: {PASSAGE}, and so is the bar.",
    },
    {"prompt": f"{QUESTION} please?", "completion": "It is on its way, and will be with you on Friday."},
]
TEST = Dataset.from_records(
    [
        {"prompt": f"{QUESTION}?", "completion": "Tomorrow."},
        {"prompt": "When may I come?", "completion": f"Well, {PASSAGE}."},
    ],
    name="test.csv",
)


@pytest.mark.parametrize(
    ("fix", "reasons"),
    [
        ("drop-near-duplicates", {"records:3": "says nearly what records:1 says"}),
        ("drop-leaked", {"records:1": "asks what test.csv:1 asks"}),
        (
            "drop-nearly-leaked",
            {
                "records:2": "asks nearly what test.csv:2 asks, or shares a passage with it",
                "records:3": "asks nearly what test.csv:1 asks, or shares a passage with it",
            },
        ),
    ],
)
def test_the_row_that_a_row_was_left_out_for_is_named(fix: str, reasons: dict[str, str]) -> None:
    for rows in (Dataset.from_records(ROWS), DatasetStream.from_records(ROWS)):
        [applied] = rows.preview_fix(fix, against={"test": TEST}).fixes
        assert {out.row: out.why for out in applied.reasons} == reasons


def test_a_near_duplicate_is_left_out_for_a_row_that_stays() -> None:
    words = [f"word{n}" for n in range(60)]
    records = []
    for n in range(12):
        words[n * 3] = f"other{n}"
        records.append({"prompt": " ".join(words), "completion": "yes"})
    mended = Dataset.from_records(records).fix("drop-near-duplicates")
    assert mended.fixes is not None
    [applied] = mended.fixes.fixes
    left = {row.id for row in mended}
    assert applied.reasons
    assert all(out.why.split()[3] in left for out in applied.reasons)
