"""Gradients of any size, checked by projections on random directions."""
