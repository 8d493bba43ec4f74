"""The torch backend: the only folder of the engine that imports torch and transformers."""
