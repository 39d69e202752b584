"""What `benchmarks/mutate.py` is made of: rules, changes written by hand, and tests that look at each file."""
