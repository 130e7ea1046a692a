"""A report as a file: its ending says which. Knows endings and encodings; each report has a file of its own."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeAlias

from tunekit._files import write_atomic
from tunekit.data.wording import brief, listed
from tunekit.errors import SpecError

if TYPE_CHECKING:
    from tunekit.evaluation.arms.results import Arms
    from tunekit.evaluation.comparison import Comparison
    from tunekit.evaluation.results import Evaluation

    Result: TypeAlias = Comparison | Evaluation | Arms

_HINT = "give the path of a file that can be written"


def write(result: Result, path: str | os.PathLike[str]) -> Path:
    """Write results as the ending of the path says: .html, .json, .xml (JUnit) or .txt.

    The file appears whole or not at all. The page and the JSON quote prompts and answers as they are.

    Args:
        result: A comparison, an evaluation, or several arms, of which there is no .xml.
        path: Where to; what is there is replaced.

    Returns:
        The path.

    Raises:
        SpecError: The ending is another one, or this has no such form.
        StorageError: It cannot be written.

    Examples:
        >>> from tempfile import TemporaryDirectory
        >>> from tunekit.data.dataset import Dataset
        >>> from tunekit.evaluation.evaluator import Evaluator
        >>> test = Dataset.from_records([{"prompt": "Where is it?", "completion": "delivery"}] * 20)
        >>> found = Evaluator(test).run(lambda prompt: "delivery")
        >>> with TemporaryDirectory() as folder:
        ...     write(found, f"{folder}/report.html").name
        'report.html'
    """
    place = Path(path)
    text = form_of(place)(result)
    write_atomic(place, text.encode("utf-8", "backslashreplace"), mode=0o666, hint=_HINT)
    return place


def form_of(path: Path) -> Callable[[Result], str]:
    """What makes the text of such a file.

    Raises:
        SpecError: No report has this ending.
    """
    try:
        return _FORMS[path.suffix.lower()]
    except KeyError:
        raise SpecError(
            f"no report is written as {brief(path.name)}", hint=f"end it with one of {listed(_FORMS)}"
        ) from None


def _json(result: Result) -> str:
    return result.to_json(indent=1) + "\n"


def _html(result: Result) -> str:
    from tunekit.evaluation.report.html import page

    return page(result)


def _junit(result: Result) -> str:
    from tunekit.evaluation.arms.results import Arms
    from tunekit.evaluation.report.junit import junit

    if isinstance(result, Arms):
        raise SpecError(
            "several arms are no test cases",
            hint="write one of their comparisons, or end the path with .html",
        )
    return junit(result)


def _text(result: Result) -> str:
    return f"{result}\n"


_FORMS: Final[Mapping[str, Callable[[Result], str]]] = {
    ".html": _html,
    ".json": _json,
    ".xml": _junit,
    ".txt": _text,
}
