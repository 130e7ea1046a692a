"""One model for several tasks: does each fare well in it? Knows evaluations of tasks; trains nothing by itself.

| file | what is in it |
|---|---|
| `effects` | one task from one model to another, and Holm over tasks |
| `averaging` | the mean over tasks, each counted once |
| `transfer` | a model of all tasks against one for each |
| `leaving_out` | what each task does to the others |
| `repeats` | how often rows are learned, and when that is too often |
"""

from __future__ import annotations

from tunekit.data.splitting.task_keys import ask
from tunekit.retrain.multitask.averaging import MacroAverage, macro_average
from tunekit.retrain.multitask.effects import TaskEffect
from tunekit.retrain.multitask.leaving_out import LeftOut, leave_one_task_out, leave_one_task_out_async
from tunekit.retrain.multitask.repeats import repeat_warnings
from tunekit.retrain.multitask.transfer import Transfer, negative_transfer

__all__ = [
    "LeftOut",
    "MacroAverage",
    "TaskEffect",
    "Transfer",
    "ask",
    "leave_one_task_out",
    "leave_one_task_out_async",
    "macro_average",
    "negative_transfer",
    "repeat_warnings",
]
