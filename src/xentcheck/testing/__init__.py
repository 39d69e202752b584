"""The pytest plugin: options, the matrix of comparisons, arrays that a test hands over."""
