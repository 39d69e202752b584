"""NumPy: the reference, functions of a user, fused linear losses, and scripts."""
