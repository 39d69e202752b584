"""Why it is wrong: known mistakes, computed exactly, that explain what an implementation returned."""
