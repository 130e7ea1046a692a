"""May this model replace that one? A pure function of comparisons. Knows claims and their levels; asks no model.

| file | what is in it |
|---|---|
| `rules` | what a host asks for: the gate, its guardrails |
| `claims` | what has to be shown of two evaluations, at any level |
| `deciding` | Holm over all claims, and what follows |
| `decision` | the outcome, with reasons, as it is stored |
| `planning` | how likely a gain passes, before anything is spent |
| `drift` | how far labels have moved |
"""

from __future__ import annotations

from tunekit.retrain.gate.decision import Check, Decision
from tunekit.retrain.gate.drift import label_drift
from tunekit.retrain.gate.planning import Plan
from tunekit.retrain.gate.rules import Gate, Guardrail

__all__ = ["Check", "Decision", "Gate", "Guardrail", "Plan", "label_drift"]
