"""Evaluation of models on held-out data. Knows models and scorers; not how a model came to be."""

from __future__ import annotations
