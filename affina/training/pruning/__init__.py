"""Weights that a trained model can do without: one way to choose them per file."""
