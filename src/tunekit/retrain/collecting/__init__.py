"""What a product saw, kept and made training data. Knows traffic; trains nothing.

| file | what is in it |
|---|---|
| `collector` | what hosts call |
| `taking`, `masking`, `pseudonyms` | a row of what was given, with nothing secret or personal in it |
| `records` | the two kinds of line |
| `files` | files that many processes append to, and that can be taken from them |
| `joining`, `datasets` | turns with what became known of them, as training data |
| `sweeping` | what must go |
"""

from __future__ import annotations

from tunekit.retrain.collecting.collector import Collector
from tunekit.retrain.collecting.joining import Counts
from tunekit.retrain.collecting.sweeping import Swept

__all__ = ["Collector", "Counts", "Swept"]
