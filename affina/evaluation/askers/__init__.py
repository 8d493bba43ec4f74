"""How a model is asked, and what answers without one: one kind of example per file."""
