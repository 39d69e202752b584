"""The sections of a report, each a title, a sentence and a table."""
