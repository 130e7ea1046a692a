"""Which model a product uses: immutable versions, and aliases that are moved. Knows records; trains nothing.

| file | what is in it |
|---|---|
| `records` | a version, and a move of an alias |
| `aliases` | what moves come to: which version, which before it |
| `registry` | what hosts call |
| `base` | where versions and moves are kept: the protocol |
| `sqlite`, `memory`, `mlflow` | in a file of many processes; in this one; in MLflow's registry |
"""

from __future__ import annotations

from tunekit.retrain.registry.base import RegistryStore
from tunekit.retrain.registry.memory import MemoryRegistryStore
from tunekit.retrain.registry.mlflow import MLflowRegistryStore
from tunekit.retrain.registry.records import ModelVersion, Move
from tunekit.retrain.registry.registry import Registry
from tunekit.retrain.registry.sqlite import SqliteRegistryStore

__all__ = [
    "MLflowRegistryStore",
    "MemoryRegistryStore",
    "ModelVersion",
    "Move",
    "Registry",
    "RegistryStore",
    "SqliteRegistryStore",
]
