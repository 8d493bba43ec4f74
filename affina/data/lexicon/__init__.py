"""What is known of words: synonyms, forms, how common they are; read from packages of public registries."""
