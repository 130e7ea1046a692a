"""What is minimised, one objective per file. An objective knows a model's outputs; it knows no optimizer and no file."""
