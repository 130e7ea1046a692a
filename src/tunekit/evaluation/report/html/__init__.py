"""One self-contained page that a person opens to decide. Knows sections and their order; judges nothing itself.

It needs no network and no script, and reads on a phone, in the dark and on paper. Its size is bounded whatever the
size of the test: what is left out is counted, and is in the JSON.

| file | what is in it |
|---|---|
| `pages` | the pages of a comparison and of one model, section by section |
| `lineup` | that of several arms |
| `metrics` | what each scorer found: words, pictures, numbers, slices |
| `examples` | answers newly right and newly wrong, side by side |
| `matrices` | confusion matrices, classes, reliability plots |
| `facts` | cost, warnings, failures, provenance |
| `markup`, `drawing`, `style` | escapes and tables, SVG, CSS |
"""

from __future__ import annotations

from tunekit.evaluation.report.html.pages import page

__all__ = ["page"]
