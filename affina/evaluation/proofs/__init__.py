"""One property of a run per file, shown before step 1."""
