"""Number systems in which exact values are computed: float64, double-double, and double-double with exponents."""
