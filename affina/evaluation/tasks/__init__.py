"""The shelf of tasks: problems that any model can be put to, and how its answers are judged."""
