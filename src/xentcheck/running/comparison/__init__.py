"""One problem on all subjects: every subject computes it, all are judged together, what was found is written down."""

from .run import lost_case, planned, run_case, run_problem

__all__ = ["lost_case", "planned", "run_case", "run_problem"]
