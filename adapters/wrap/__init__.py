"""A function of one's own as an adapter: its signature, what it refuses, and how it is called."""
