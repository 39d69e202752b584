"""A second derivation of every bound, from `docs/numerics.md` and not from the code: plain loops over floats."""
