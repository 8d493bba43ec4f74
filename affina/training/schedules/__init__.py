"""The learning rate's course: one per file."""
