"""Models as affina uses them: where their weights come from, and the backends that run and train them."""
