"""Cases as covering arrays: every allowed combination of the levels of any few factors, in few rows."""
