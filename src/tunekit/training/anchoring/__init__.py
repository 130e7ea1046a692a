"""Keeping a run near where it begins: what is asked for, how it pulls, and which weights matter."""
