"""Prodigy's answers: what the annotator accepted is read, what was rejected or ignored is not. Knows no other export.

Every row of `prodigy db-out` has `answer` and hashes of its input and task; the interface "choice" has `options` and
the ids that were picked under `accept`. A rejected label says what a text is not, which no example can hold.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tunekit.data.shapes.remarks import Remark
from tunekit.data.shapes.restated import Program, Restated
from tunekit.data.wording import brief, shown
from tunekit.errors import DataError

ANSWER = "answer"
"""The column with the decision of the annotator."""
_ANSWERS = frozenset({"accept", "reject", "ignore"})
_MARKS = frozenset({"_task_hash", "_input_hash", "_view_id", "_annotator_id", "_session_id"})
_TASK = frozenset({"text", "label", "answer"})
_CHOICE = frozenset({"options", "accept", "answer", "config"})


def program(sample: Sequence[Mapping[str, Any]]) -> Program:
    """Prodigy, as it writes rows that begin like these.

    Rows that lost its marks are its own where all are texts with labels and nothing but its three answers.
    """
    answers = [_answer(record) for record in sample]
    unmarked = "accept" in answers and None not in answers and all(map(_TASK.issubset, sample))
    return Program(
        frozenset({ANSWER}), _TASK.issubset if unmarked else _is_marked, restated, frozenset({"labelled"})
    )


def was_refused(record: Mapping[str, Any]) -> bool:
    """Whether the annotator rejected or passed by the row."""
    return _answer(record) in ("reject", "ignore")


def _is_marked(record: Mapping[str, Any]) -> bool:
    return _answer(record) is not None and not _MARKS.isdisjoint(record)


def _answer(record: Mapping[str, Any]) -> str | None:
    answer = record.get(ANSWER)
    return answer if isinstance(answer, str) and answer in _ANSWERS else None


def restated(record: Mapping[str, Any]) -> Restated:
    """The row as a text and its label; not accepted where the annotator did not."""
    answer = _answer(record)
    if answer is None:
        raise DataError(
            f"expected one of Prodigy's answers, found {brief(record.get('answer'))}",
            field="answer",
            hint='answers are "accept", "reject" and "ignore"; pass input= and target= if the column is another',
        )
    if answer != "accept":
        remark = Remark("unaccepted-annotations", f"the answer {answer!r}", "answer")
        return Restated(record, remarks=(remark,), is_accepted=False)
    if not isinstance(record.get("options"), list):
        return Restated({key: value for key, value in record.items() if key != "answer"})
    rest = {key: value for key, value in record.items() if key not in _CHOICE}
    picked = Remark("other-spellings", "the options under 'accept' as labels", "accept")
    return Restated({**rest, "label": _picked(record)}, "labelled", (picked,))


def _picked(record: Mapping[str, Any]) -> Any:
    picked = record.get("accept")
    if not isinstance(picked, list):
        hint = "options of the interface 'choice' come with the list of the ids that were picked"
        raise DataError(f"expected a list of ids, found {shown(picked)}", field="accept", hint=hint)
    config = record.get("config")
    is_multiple = isinstance(config, Mapping) and config.get("choice_style") == "multiple"
    return picked if is_multiple or len(picked) > 1 else next(iter(picked), None)
