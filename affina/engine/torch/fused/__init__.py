"""A decoder block as one differentiable function, forward and backward written out, for the families that share it."""
