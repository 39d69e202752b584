"""PyTorch: its loss, functions of a user, fused linear losses, and scripts."""
