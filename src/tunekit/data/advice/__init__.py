"""What to do with data: where to begin, what it may cost. Changes nothing, and knows no backend."""
