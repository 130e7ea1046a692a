"""What is decided before the first step: recipe, order of rows, memory and time, when to stop."""
