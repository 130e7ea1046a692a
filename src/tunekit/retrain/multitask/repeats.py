"""How often rows of a mix are learned, and when that is too often. Knows the report of a mix; draws nothing."""

from __future__ import annotations

from collections.abc import Sequence

from tunekit.data.arguments import finite
from tunekit.data.splitting.mixture import MixPart
from tunekit.data.wording import brief, counted
from tunekit.errors import SpecError

MOST_EPOCHS = 4.0
"""Times that a row may be learned before its task is likely to be learned by heart (Muennighoff et al. 2023, arXiv
2305.16264: up to 4 repeats are worth as much as new rows, and soon after they are worth little)."""


def repeat_warnings(report: Sequence[MixPart], *, epochs: float = 1.0) -> tuple[str, ...]:
    """What to know of tasks whose rows are learned too often: epochs times how often a mix uses each row on average.

    Args:
        report: What `Dataset.mix` says of each task.
        epochs: How often the mix itself is gone through.

    Raises:
        SpecError: `epochs` is not above 0.

    Examples:
        >>> import tunekit as tk
        >>> small, large = (tk.Dataset.from_records([{"prompt": f"{n}", "completion": "c"} for n in range(size)])
        ...                 for size in (10, 90))
        >>> _, report = tk.Dataset.mix({"small": small, "large": large}, size=100, temperature=100.0, max_repeats=5)
        >>> [warning.split(":")[0] for warning in repeat_warnings(report)]
        ['each of the 10 rows of small is learned about 4.9 times']
    """
    if not finite("epochs", epochs) > 0:
        raise SpecError(f"epochs is {brief(epochs)}", hint="how often the mix is gone through, such as 3")
    found = [(part, epochs * part.taken / part.available) for part in report]
    return tuple(
        f"each of the {counted(part.available, 'row')} of {part.task} is learned about {times:.3g} times: it may be"
        " learned by heart; lower the temperature, the size of the mix or the epochs"
        for part, times in found
        if times > MOST_EPOCHS
    )
