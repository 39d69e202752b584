"""Labels as rows of probabilities, for implementations that take no labels."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    pass
