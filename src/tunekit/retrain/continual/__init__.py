"""What a line of models forgot of earlier tasks. Knows stored evaluations; how models were trained makes no difference.

| file | what is in it |
|---|---|
| `forgetting` | the report: its arguments, and what may not be mixed up |
| `matrix` | results by stage and task, and the four numbers |
| `own_labels` | an evaluation scored again among the labels of its task |
| `tables` | the report as text |
"""

from __future__ import annotations

from tunekit.retrain.continual.forgetting import Forgetting
from tunekit.retrain.continual.matrix import Forgotten, Matrix

__all__ = ["Forgetting", "Forgotten", "Matrix"]
