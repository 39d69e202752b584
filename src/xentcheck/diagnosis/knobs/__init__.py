"""Knobs: mistakes with one number in them, which is read off the result: a temperature, an epsilon, a factor."""
