"""JAX: a loss on its functions, functions of a user, fused linear losses, and scripts."""
