"""One module for each family of record shapes: objects in, examples out, and back. They know no files."""

from __future__ import annotations

from tunekit.data.shapes.columns import Columns as Columns
from tunekit.data.shapes.fields import BlankTarget as BlankTarget
