"""Nielsen's equations: activations, costs, the chain rule, networks, regularization and finite differences."""
