"""What `benchmarks/defaults.py` is made of: real tasks, arms that train on them, and statistics of what they reach."""
