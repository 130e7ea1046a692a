"""A stored evaluation scored again, with none but the labels of its task. Knows log-probabilities; asks no model.

A model that goes on to new labels first forgets how frequent the old ones are: all its answers are new labels, and the
task looks lost. Among the labels of the task alone it may still know which is right. Both numbers are needed to tell a
prior that a few replayed rows mend from features that are gone.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from tunekit.data.wording import brief, listed
from tunekit.errors import EvaluationError
from tunekit.evaluation.measuring import metric_of
from tunekit.evaluation.results import Evaluation, ItemResult

OWN = "accuracy among own labels"
"""Name of the scorer in an evaluation that was scored again."""


def labels_of(evaluation: Evaluation) -> tuple[str, ...]:
    """The labels of a task: the distinct references of its test."""
    return tuple(sorted({item.reference for item in evaluation.items if item.reference is not None}))


def among_own(evaluation: Evaluation, scorer: str, labels: Sequence[str]) -> Evaluation:
    """The same evaluation, right where the reference is the likeliest of these labels.

    Args:
        evaluation: Stored results.
        scorer: Its log-probabilities are taken, or else those of the first scorer that has all of these labels.
        labels: Labels of the task.

    Raises:
        EvaluationError: No scorer keeps log-probabilities of all these labels.

    Examples:
        >>> import tunekit as tk
        >>> from tunekit.evaluation.scorers import Accuracy
        >>> from tunekit.testing import ScriptedBackend
        >>> test = tk.Dataset.from_records([{"text": f"{n}", "label": "ab"[n % 2]} for n in range(50)],
        ...                                input="text", target="label")
        >>> def says_new(prompt, choice):  # prefers the label of a later task, and knows its own ones still
        ...     return {"new": -0.1, "ab"[int(prompt) % 2]: -3.0}.get(choice, -6.0)
        >>> evaluator = tk.Evaluator(test, scorers=[Accuracy(choices=["a", "b", "new"])])
        >>> found = evaluator.run("scripted:m", backend=ScriptedBackend(score=says_new))
        >>> again = among_own(found, "accuracy", labels_of(found))
        >>> found["accuracy"].value.estimate, again[OWN].value.estimate
        (0.0, 1.0)
    """
    known = _choices(evaluation, scorer, labels)
    if known is None:
        some = any(item.log_probs for item in evaluation.items)
        of_these = f" of {listed(labels)}" if some and labels else ""
        raise EvaluationError(
            f"{brief(scorer)} keeps no log-probabilities{of_these}, so nobody can say how the model would have answered"
            " among these labels alone",
            hint="add a scorer that weighs choices: Accuracy(choices=...) with the labels of all tasks",
        )
    source, choices = known
    places = [(label, choices.index(label)) for label in labels]
    items = tuple(_rescored(item, source, places) for item in evaluation.items)
    config = {"type": "AmongOwn", "scorer": source, "labels": list(labels)}
    return evaluation.model_copy(
        update={
            "items": items,
            "metrics": {OWN: metric_of(items, OWN)},
            "provenance": evaluation.provenance.model_copy(update={"scorers": {OWN: config}}),
        }
    )


def _choices(evaluation: Evaluation, scorer: str, labels: Sequence[str]) -> tuple[str, list[str]] | None:
    """A scorer with log-probabilities of all these labels, and its choices in their order."""
    names = [scorer, *(name for name in evaluation.names if name != scorer)]
    for name in names:
        given = evaluation.provenance.scorers[name].get("choices")
        choices = [str(choice) for choice in given] if isinstance(given, list) else []
        if (
            labels
            and set(labels) <= set(choices)
            and any(name in item.log_probs for item in evaluation.items)
        ):
            return name, choices
    return None


def _rescored(item: ItemResult, source: str, places: Sequence[tuple[str, int]]) -> ItemResult:
    bare = item.model_copy(update={"scores": {}, "counts": {}, "choices": {}, "errors": {}})
    if source not in item.log_probs:
        why = item.errors.get(source, f"{source} kept no log-probabilities of it")
        return bare.model_copy(update={"errors": {OWN: why}})
    weights = {label: item.log_probs[source][place] for label, place in places}
    choice = max(weights, key=lambda label: weights[label])
    if item.reference is None or not math.isfinite(weights[choice]):
        return bare.model_copy(update={"errors": {OWN: "none of these labels is likelier than the others"}})
    return bare.model_copy(
        update={"scores": {OWN: float(choice == item.reference)}, "choices": {OWN: choice}}
    )
