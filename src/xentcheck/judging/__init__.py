"""Is it right, and could it have been wrong unnoticed: the metric, verdicts, conventions, and power."""
