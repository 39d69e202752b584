"""Problems that are too large for one array, judged in blocks of rows."""
