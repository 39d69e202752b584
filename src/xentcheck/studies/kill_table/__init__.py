"""Which case catches each planted fault first, and what other checks say of it."""
