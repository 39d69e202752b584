"""Baselines: what a run is worth keeping of, and what has changed since."""
