"""One module for each family of record shapes: objects in, examples out, and back. They know no files."""

from __future__ import annotations

from tunekit.data.shapes.own import (
    DEFAULT_COLUMNS as DEFAULT_COLUMNS,
)
from tunekit.data.shapes.own import (
    BlankTarget as BlankTarget,
)
from tunekit.data.shapes.own import (
    Columns as Columns,
)
from tunekit.data.shapes.own import (
    to_example as to_example,
)
