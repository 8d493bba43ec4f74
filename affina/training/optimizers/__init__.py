"""How gradients become changes: one per file."""
