"""GGUF files: what they say of a base and its tokenizer, how they are written, and llama.cpp, which runs them."""
