"""Whether rows may be trained on. Knows the data checks and which of their rules a recipe is held to; no rounds."""

from __future__ import annotations

from collections.abc import Sequence

from tunekit.backends.capabilities import wrong_kinds
from tunekit.data.dataset import Dataset
from tunekit.data.findings import Finding
from tunekit.errors import DataError, SpecError
from tunekit.retrain.rounds.terms import Terms


def refuse_batch(data: Dataset, terms: Terms) -> None:
    """Raise for rows that no later round could train on. What only a whole can have, such as enough rows, is not asked.

    Raises:
        DataError: A row has an error, or is of a kind that the method does not learn from; the first is named.
    """
    wrong = wrong_kinds(terms.spec, "what was handed in", data)
    if wrong:
        raise DataError(wrong, hint="hand in rows that the recipe learns from: these are not kept")
    _refuse(
        [finding for finding in errors_of(data, terms) if finding.rows],
        "look at Dataset.check, and hand in rows that were fixed: these are not kept",
    )


def refuse_withdrawn(data: Dataset, terms: Terms) -> None:
    """Raise for rows that were taken out of the pipeline, whatever task they are handed in for.

    Raises:
        DataError: They are a batch that was withdrawn.
    """
    prints = data.fingerprint()
    for batch in terms.rounds.batches(terms.pipeline):
        if batch.fingerprint == prints and batch.withdrawn_at is not None:
            raise DataError(
                f"these rows are batch {batch.position}, which was withdrawn: {batch.withdrawn_because}",
                hint="hand in rows that were fixed",
            )


def refuse_training_data(data: Dataset, terms: Terms) -> None:
    """Raise for what a job would stumble over.

    Raises:
        DataError: There are errors; the first is named.
    """
    _refuse(
        errors_of(data, terms),
        "hand in what is missing, or take the batch with the errors out: `Rounds.withdraw`",
    )


def errors_of(data: Dataset, terms: Terms) -> Sequence[Finding]:
    """What a job with these rows would stumble over."""
    try:
        report = data.check(str(terms.target), at_least="error")
    except SpecError:  # a backend whose rules are not known here
        report = data.check(at_least="error")
    return report.errors


def _refuse(errors: Sequence[Finding], hint: str) -> None:
    if errors:
        kinds = "an error" if len(errors) == 1 else f"{len(errors)} kinds of errors, the first"
        raise DataError(f"the rows have {kinds}: {errors[0].message}", hint=hint)
