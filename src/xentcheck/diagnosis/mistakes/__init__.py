"""Mistakes that implementations are known to make, each as a change of the right computation.

The letter and number of a cause are those of the planted faults: A range and precision, B normaliser, C ignored rows,
D smoothing and soft targets, E gradients, F layout and labels, G layers.
"""
