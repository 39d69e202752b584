"""Patterns: what a wrong result says by itself, where no known mistake explains it number by number."""
