"""Metrics of predictions, as pure functions. Knows numbers and texts; not models, items or scorers.

Two kinds. Some give one item a score, whose mean over the items is the metric. The others are functions of a whole
test: they read counts, sums over its items, so that whoever stores the counts of each item can recompute the metric
for any subset of them. `table.CORPUS` names these.
"""

from __future__ import annotations
