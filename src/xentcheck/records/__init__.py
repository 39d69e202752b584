"""What a run writes down, as plain data: records, findings, run files, and a failure in words."""
