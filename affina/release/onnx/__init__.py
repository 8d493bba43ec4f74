"""The ONNX form: a folder with one graph, its tokenizer and template, run by onnxruntime."""
