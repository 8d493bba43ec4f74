"""Ways to make rows by asking a model, one per file."""
