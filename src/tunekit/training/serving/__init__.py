"""The inference worker: answers, scores and vectors from loaded models."""
