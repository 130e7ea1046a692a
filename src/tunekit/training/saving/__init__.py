"""Artifacts: the tuned model on disk, its cards, and the forms in which other programs load it."""
