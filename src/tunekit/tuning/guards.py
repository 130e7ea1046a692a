"""What data a choice may be made on. Knows inputs of rows; scores nothing.

This is the seam for sealed test sets: whatever marks a dataset as one is refused here, before anything is trained.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from tunekit.data.splitting.ranks import input_key
from tunekit.data.wording import counted

if TYPE_CHECKING:
    from tunekit.data.dataset import Dataset
    from tunekit.evaluation.evaluator import Evaluator


def dev_warnings(train: Dataset, evaluator: Evaluator) -> Iterator[str]:
    """What is doubtful about scoring on these items what learned from these rows."""
    learned = {input_key(example) for example in train}
    seen = sum(input_key(item.example) in learned for item in evaluator.items)
    if seen:
        yield (
            f"{counted(seen, 'dev item')} of {len(evaluator.items):,} are in the training data, so scores are too high"
        )
