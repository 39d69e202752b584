"""Executors: who does the tasks of a run, always in the same order."""
