"""From a failure to a script: run a case again, make its problem smaller, and write it down."""
