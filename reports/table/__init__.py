"""The table to cite: the largest errors of libraries side by side, with the case that shows each."""
