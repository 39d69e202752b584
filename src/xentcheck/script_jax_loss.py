"""The built-in JAX loss in a failure's script, so that the script needs JAX and NumPy only."""

from __future__ import annotations
