"""Matrices of a graph in 8 bits, their products on numbers that are rounded as they come: onnxruntime's dynamic way."""

import logging
from pathlib import Path

import onnx
from onnxruntime.quantization import QuantType, quantize_dynamic

MATRICES = ("MatMul", "Gemm")


def rounded(file: Path) -> None:
    """Replaces the graph; weights that stood beside it stand beside it again. Shapes that the exporter noted inside it
    go: they hinder the rounding of some encoders."""
    beside = file.with_name(f"{file.name}.data")
    large = beside.is_file()
    graph = onnx.load(str(file))
    del graph.graph.value_info[:]
    aside = file.with_name("whole.onnx")
    onnx.save(graph, str(aside), save_as_external_data=large, location=f"{aside.name}.data")
    for each in (file, beside):
        each.unlink(missing_ok=True)  # what is there already, its writer adds to
    level, logger = logging.getLogger().level, logging.getLogger()
    logger.setLevel(logging.ERROR)  # it advises a second pass of its own
    try:
        quantize_dynamic(
            aside, file, list(MATRICES), per_channel=True, weight_type=QuantType.QInt8, use_external_data_format=large
        )
    finally:
        logger.setLevel(level)
        for each in (aside, aside.with_name(f"{aside.name}.data")):
            each.unlink(missing_ok=True)
