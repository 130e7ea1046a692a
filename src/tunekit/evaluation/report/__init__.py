"""Results for people and for builds: terminal, page, JUnit, JSON. Knows how they are shown; not how they were found.

| file | what it makes |
|---|---|
| `terminal` | a small table, which `print(comparison)` shows |
| `html` | one page that a person opens to decide |
| `junit` | a test case for each scorer, which builds show |
| `writing` | a file of any of them, by its ending |
| `numbers`, `words` | how numbers and verdicts are written everywhere |
| `stored` | confusion matrices and reliability bins from what an evaluation keeps |
"""

from __future__ import annotations

from tunekit.evaluation.report.numbers import interval
from tunekit.evaluation.report.terminal import render_comparison, render_evaluation
from tunekit.evaluation.report.writing import write

__all__ = ["interval", "render_comparison", "render_evaluation", "write"]
