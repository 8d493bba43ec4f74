"""What every adapter's file in PEFT's format says alike."""

from typing import Any


def task_type(model: Any) -> str:
    """PEFT's name for what the base does, by which its reader chooses a wrapper: `peft.TaskType`, PEFT 0.21.

    A masked model has words but generates none: to PEFT it gives features.
    """
    if model.get_output_embeddings() is None or not model.can_generate():
        return "FEATURE_EXTRACTION"
    return "SEQ_2_SEQ_LM" if model.config.is_encoder_decoder else "CAUSAL_LM"
