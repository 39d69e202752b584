"""What a function does not take, found out by calls on small problems."""
