"""Matrices of a graph in 8 bits, their products on numbers that are rounded as they come: onnxruntime's dynamic way."""

import logging
import os
from pathlib import Path

import onnx
from onnxruntime.quantization import QuantType, quantize_dynamic

MATRICES = ("MatMul", "Gemm")


def rounded(file: Path) -> None:
    """Replaces the graph. Shapes that the exporter noted inside it go: they hinder the rounding of some encoders."""
    graph = onnx.load(str(file))
    del graph.graph.value_info[:]
    aside = file.with_name("whole.onnx")
    onnx.save(graph, str(aside))
    level, logger = logging.getLogger().level, logging.getLogger()
    logger.setLevel(logging.ERROR)  # it advises a second pass of its own
    try:
        quantize_dynamic(aside, file, list(MATRICES), per_channel=True, weight_type=QuantType.QInt8)
    finally:
        logger.setLevel(level)
        os.unlink(aside)
