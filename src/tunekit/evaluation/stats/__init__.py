"""Statistics of an evaluation, in pure standard library. Knows numbers; not models, items or scorers.

| the score of an item is | one model | two models, paired | and items come in groups |
|---|---|---|---|
| right or wrong | `wilson` | `tango`, `mcnemar_mid_p` | `clustered_wilson`, `clustered_tango`, `cluster_sign_flip` |
| a number | `mean_t` | `mean_t` of differences, `sign_flip` | `clustered_mean`, `cluster_sign_flip` |
| counts of a metric | `resampled` | `resampled_difference`, `randomisation` | the same with `clusters=` |

`newcombe`, `mcnemar_exact`, `obuchowski` and `bca_mean` are for reports of your own that ask for another convention.
Several tests of one question: `holm`, `benjamini_hochberg`. Recipes instead of models: `recipe_difference`. Before
a test: `items_needed` and the rest of the planning functions, `mcnemar_power` without approximation. After a choice of
the best: `winners_curse`.

Each states its range of validity; outside it, a function whose name ends in `_warning` has the words, and results with
`warnings` carry them. `verdict` makes a decision of any interval of a difference.

Examples:
    >>> mcnemar_exact(wins=10, losses=2) > mcnemar_mid_p(wins=10, losses=2)  # from `Comparison[name].wins`
    True
"""

from __future__ import annotations

from tunekit.evaluation.stats.clusters import (
    cluster_sign_flip,
    clustered_mean,
    clustered_tango,
    clustered_wilson,
    design_effect,
    effective_items,
    intraclass_correlation,
    obuchowski,
    typical_cluster_size,
)
from tunekit.evaluation.stats.corpus import (
    Method,
    Resampled,
    randomisation,
    resampled,
    resampled_difference,
)
from tunekit.evaluation.stats.distributions import (
    normal_quantile,
    student_t_quantile,
    student_t_sf,
    two_sided_t,
    two_sided_z,
)
from tunekit.evaluation.stats.enumeration import (
    mcnemar_power,
)
from tunekit.evaluation.stats.interval import (
    Interval,
    Verdict,
    check_margin,
    verdict,
)
from tunekit.evaluation.stats.means import (
    bca_mean,
    constant_mean,
    mean_t,
    sign_flip,
)
from tunekit.evaluation.stats.multiplicity import (
    benjamini_hochberg,
    holm,
)
from tunekit.evaluation.stats.power import (
    answers_variance,
    detectable_difference,
    detectable_mean,
    items_needed,
    items_needed_clustered,
    items_needed_mean,
    items_needed_unpaired,
    power_mean,
    power_paired,
    power_table,
    power_unpaired,
)
from tunekit.evaluation.stats.proportions import (
    mcnemar_exact,
    mcnemar_mid_p,
    newcombe,
    tango,
    wilson,
)
from tunekit.evaluation.stats.recipes import (
    RecipeDifference,
    recipe_difference,
)
from tunekit.evaluation.stats.selection import (
    expected_maximum,
    winners_curse,
    winners_curse_warning,
)
from tunekit.evaluation.stats.units import (
    Counts,
)
from tunekit.evaluation.stats.validity import (
    bootstrap_warning,
    clusters_warning,
    disagreements_warning,
    runs_warning,
    sign_flip_warning,
    t_warning,
)

__all__ = [
    "Counts",
    "Interval",
    "Method",
    "RecipeDifference",
    "Resampled",
    "Verdict",
    "answers_variance",
    "bca_mean",
    "benjamini_hochberg",
    "bootstrap_warning",
    "check_margin",
    "cluster_sign_flip",
    "clustered_mean",
    "clustered_tango",
    "clustered_wilson",
    "clusters_warning",
    "constant_mean",
    "design_effect",
    "detectable_difference",
    "detectable_mean",
    "disagreements_warning",
    "effective_items",
    "expected_maximum",
    "holm",
    "intraclass_correlation",
    "items_needed",
    "items_needed_clustered",
    "items_needed_mean",
    "items_needed_unpaired",
    "mcnemar_exact",
    "mcnemar_mid_p",
    "mcnemar_power",
    "mean_t",
    "newcombe",
    "normal_quantile",
    "obuchowski",
    "power_mean",
    "power_paired",
    "power_table",
    "power_unpaired",
    "randomisation",
    "recipe_difference",
    "resampled",
    "resampled_difference",
    "runs_warning",
    "sign_flip",
    "sign_flip_warning",
    "student_t_quantile",
    "student_t_sf",
    "t_warning",
    "tango",
    "two_sided_t",
    "two_sided_z",
    "typical_cluster_size",
    "verdict",
    "wilson",
    "winners_curse",
    "winners_curse_warning",
]
