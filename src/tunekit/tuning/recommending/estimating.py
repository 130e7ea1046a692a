"""What training may gain over a probe, where it was not measured. Pure: knows published pairs; trains nothing.

How much of a probe's errors training takes away is a property of the task, so other data sets say no more than from
where to where it goes. That is why an estimate opens a question and never settles one.
"""

from __future__ import annotations

import statistics
from dataclasses import dataclass

from tunekit.tuning.recommending.results import Estimate


@dataclass(frozen=True, slots=True)
class Pair:
    """A probe and a tuned model on the same rows and test: shares of right answers."""

    data: str
    probe: float
    tuned: float


PAIRS = (
    # SetFit's stored per-seed results, paraphrase-mpnet-base-v2: a linear probe, and the same encoder tuned.
    Pair("SST-5, 8 rows of a class", 0.367, 0.436),
    Pair("SST-5, 64 rows of a class", 0.422, 0.519),
    Pair("CR, 8", 0.842, 0.885),
    Pair("CR, 64", 0.882, 0.904),
    Pair("Emotion, 8", 0.378, 0.488),
    Pair("Emotion, 64", 0.508, 0.762),
    Pair("AG News, 8", 0.743, 0.829),
    Pair("AG News, 64", 0.844, 0.880),
    Pair("Enron spam, 8", 0.904, 0.901),
    Pair("Enron spam, 64", 0.954, 0.961),
    # Casanueva et al. 2020 (arXiv 2003.04807): BERT fixed, and tuned.
    Pair("banking77, 10 rows of a class", 0.676, 0.834),
    Pair("banking77, 30 rows of a class", 0.801, 0.900),
    Pair("banking77, all rows", 0.872, 0.937),
    # Measured for this library with all-MiniLM-L6-v2 (research/evaluation.md, section 5).
    Pair("SST-2, 16 rows", 0.607, 0.634),
    Pair("SST-2, 128 rows", 0.717, 0.772),
    Pair("SST-2, 6,920 rows", 0.811, 0.873),
)


def errors_taken(pair: Pair) -> float:
    """The share of the probe's errors that training took away; below 0, it added some.

    Examples:
        >>> errors_taken(Pair("a", 0.8, 0.9))
        0.5
    """
    return round((pair.tuned - pair.probe) / (1 - pair.probe), 6)


def over_probe(score: float) -> Estimate:
    """What a tuned model may score where a probe has this share of right answers.

    Examples:
        >>> found = over_probe(0.9)
        >>> found.low < 0.9 < found.middle < found.high < 1.0
        True
    """
    shares = sorted(map(errors_taken, PAIRS))
    low, middle, high = (
        score + share * (1 - score) for share in (shares[0], statistics.median(shares), shares[-1])
    )
    return Estimate(
        low=low,
        middle=middle,
        high=high,
        source=(
            f"in {len(PAIRS)} published pairs, training took away {100 * shares[0]:.0f} % to {100 * shares[-1]:.0f} %"
            f" of a probe's errors, the median {100 * statistics.median(shares):.0f} %"
        ),
    )
