"""The methods that `Dataset` and `DatasetStream` share, one file for each subject."""

from __future__ import annotations
