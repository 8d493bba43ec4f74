"""Where batches come from: one way per file."""
