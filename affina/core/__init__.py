"""What every stage shares: errors, parts and shelves, examples, the interfaces, recipes and runs."""
