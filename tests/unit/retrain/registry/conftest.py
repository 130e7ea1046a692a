"""A registry of MLflow, made once and copied: to make its tables takes seconds."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def mlflow_tables(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database of MLflow with nothing in it."""
    from mlflow import MlflowClient

    path = tmp_path_factory.mktemp("mlflow") / "empty.db"
    client = MlflowClient(tracking_uri=f"sqlite:///{path}", registry_uri=f"sqlite:///{path}")
    assert not client.search_registered_models()
    return path


@pytest.fixture
def mlflow_uri(mlflow_tables: Path, tmp_path: Path) -> str:
    """A copy of its own."""
    return f"sqlite:///{shutil.copy(mlflow_tables, tmp_path / 'mlflow.db')}"
