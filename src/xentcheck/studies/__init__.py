"""Questions that no single case answers: laws, probes, accuracy, heights, audits, fuzzing, explanations."""
