"""How good a model is, with intervals; whether one is better than another; proofs; the gate; the report."""
