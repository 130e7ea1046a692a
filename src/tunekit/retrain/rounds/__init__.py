"""Rounds of retraining. What each file knows, in the order in which a round comes by.

| file | what it knows |
|---|---|
| `records` | a round, its states, its transitions |
| `base`, `sqlite`, `batches` | where rounds are kept, and the rows |
| `terms` | what a retrainer was told |
| `triggers`, `situation` | why it is time |
| `planning` | what a round would do and cost |
| `queueing`, `turns` | what was asked for, and whose turn it is |
| `driving`, `moving` | from one state to the next |
| `preparing`, `composing` | what is trained on |
| `training` | one job, handed in once |
| `measuring` | both models on today's tests, and the gate |
| `promoting`, `rounds` | approval, rollout, the alias; the host's decisions |
| `endings` | a failed round as an error |
"""

from __future__ import annotations

from tunekit.retrain.rounds.base import RoundStore as RoundStore
from tunekit.retrain.rounds.composing import Replay as Replay
from tunekit.retrain.rounds.planning import Chance as Chance
from tunekit.retrain.rounds.planning import RoundPlan as RoundPlan
from tunekit.retrain.rounds.records import Amounts as Amounts
from tunekit.retrain.rounds.records import Batch as Batch
from tunekit.retrain.rounds.records import Round as Round
from tunekit.retrain.rounds.records import RoundError as RoundError
from tunekit.retrain.rounds.records import RoundState as RoundState
from tunekit.retrain.rounds.records import Transition as Transition
from tunekit.retrain.rounds.rounds import Rounds as Rounds
from tunekit.retrain.rounds.rounds import Route as Route
from tunekit.retrain.rounds.sqlite import SqliteRoundStore as SqliteRoundStore
from tunekit.retrain.rounds.triggers import BaseEnds as BaseEnds
from tunekit.retrain.rounds.triggers import Every as Every
from tunekit.retrain.rounds.triggers import LabelDrift as LabelDrift
from tunekit.retrain.rounds.triggers import MetricDrop as MetricDrop
from tunekit.retrain.rounds.triggers import NewRows as NewRows
