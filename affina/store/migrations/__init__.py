"""How the registry's tables came to be, one step per file; `STEPS` names them in order."""

STEPS = ("0001", "0002")
"""A registry that stands at the last needs no migration, and one that stands at none of them is another program's."""
