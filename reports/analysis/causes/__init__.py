"""Why comparisons of a run fail: the causes that explain them, and what all failures of a cause share."""
