"""Power: the standard wrong answers that a comparison could tell from the right one, and those that it must."""
