"""Which technique these data want: zero-shot, few-shot, a probe, an adapter, or every weight. Measures before it says.

| module | what it has |
|---|---|
| `advising` | `recommend`: from data and target to a `Recommendation` |
| `task` | what the data are, how they are parted, which spec each technique is |
| `asking` | the arms without training, and what decides between them |
| `weighing` | what is trained and asked, in which order, as far as the budget goes |
| `estimating` | what training may gain over a probe, from published pairs; pure |
| `choosing` | measured and estimated techniques -> the choice, and how sure it is; pure |
| `results`, `words` | `Recommendation` as a value, and in words |
"""

from __future__ import annotations

from tunekit.tuning.recommending.advising import recommend, recommend_async
from tunekit.tuning.recommending.results import Estimate, Option, Recommendation
from tunekit.tuning.recommending.weighing import Stage

__all__ = ["Estimate", "Option", "Recommendation", "Stage", "recommend", "recommend_async"]
