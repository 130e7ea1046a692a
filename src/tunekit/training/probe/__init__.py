"""Feature extraction: vectors of a frozen model, and a linear classifier on them."""
