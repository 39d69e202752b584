"""Who is asked, in which order, by which process, and what is written down of it."""
