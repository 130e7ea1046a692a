"""Models from disk or hub, their adapters and heads, and how rows are laid out and read by each family."""
