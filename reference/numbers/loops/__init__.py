"""Loops over elements that numba compiles, and what they take."""
