"""Where hyperparameters usually lie: the search space `from_scratch`, and what of a recipe lies outside it."""

from affina.core.recipe import Recipe

FROM_SCRATCH = {
    "train.learning_rate": (1e-3, 1e-2),
    "model.scratch.layers": (6, 12),
    "train.batch": (32, 128),
    "model.scratch.dropout": (0.1, 0.5),
    "train.epochs": (10, 50),
}
"""Setting → the least and the most that is worth a trial where a model starts from random weights."""


def peak_rate(recipe: Recipe) -> float:
    """The recipe's peak learning rate, else the recommended one: of the tuning, or for random weights."""
    usual = (
        type(recipe.tuning).learning_rate if recipe.model.scratch is None else FROM_SCRATCH["train.learning_rate"][0]
    )
    return recipe.train.learning_rate or usual


def outside(recipe: Recipe, examples: int) -> list[str]:
    """A sentence for each setting that lies outside the space that fits; `examples` are the training split's rows."""
    if recipe.model.scratch is None:
        return []
    found = {
        "train.learning_rate": peak_rate(recipe),
        "model.scratch.layers": recipe.model.scratch.layers,
        "train.batch": recipe.train.batch,
        "model.scratch.dropout": recipe.model.scratch.dropout,
        "train.epochs": recipe.train.total_steps(examples) / recipe.train.steps_per_epoch(examples),
    }
    return [
        f"{name} is {found[name]:g}: from random weights {least:g} to {most:g} is usual"
        for name, (least, most) in FROM_SCRATCH.items()
        if not least <= found[name] <= most
    ]
