"""Sums of many terms: what their addends leave over, and how far they may be off in any order."""
