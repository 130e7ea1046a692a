"""Simulations behind benchmarks/evaluation_statistics.py: what each statistic promises, one module per kind."""
