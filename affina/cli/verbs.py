"""Every verb of the `affina` command: what it does in a few words, and the file that does it.

A verb of two words, `data look`, is the function `data_look` of the package; its first word is a group.
"""

VERBS = {
    "new": ("look at files of examples and write a recipe for them", "affina.cli.new"),
    "data look": ("look at files: format, shape, lengths, classes, problems, samples", "affina.cli.data_look"),
    "data prepare": ("read, transform and split a recipe's data, once, into files", "affina.cli.data_prepare"),
    "data ledger": ("show what became of every row that a run read", "affina.cli.data_ledger"),
    "data diff": ("hold two data sets side by side", "affina.cli.data_diff"),
    "data make": ("make rows from documents, seed tasks or requests by a model", "affina.cli.data_make"),
    "check": ("read a recipe and its data, and show what training would see", "affina.cli.check"),
    "train": ("train a recipe, or resume it, and prove whether the result is better", "affina.cli.train"),
    "evaluate": ("measure a model, with intervals", "affina.cli.evaluate"),
    "compare": ("measure two models on the same items and give a verdict", "affina.cli.compare"),
    "generate": ("answer prompts", "affina.cli.generate"),
    "chat": ("talk with a model", "affina.cli.chat"),
    "verify": ("prove that a running endpoint serves a run or a release", "affina.cli.verify"),
    "features": ("write a model's embeddings, and learn heads on them", "affina.cli.features"),
    "anomaly": ("learn what is normal, and flag what is not", "affina.cli.anomaly"),
    "apply": ("put texts to a saved head or detector", "affina.cli.apply"),
    "export": ("write a run in another program's format, run by that program", "affina.cli.export"),
    "release": ("make one artefact of a finished run, a candidate in the registry", "affina.cli.release"),
    "releases": ("list the releases, their stages and verdicts", "affina.cli.releases"),
    "approve": ("say that a release may be promoted", "affina.cli.approve"),
    "promote": ("make a release canary or live", "affina.cli.promote"),
    "rollback": ("make live again what was live before", "affina.cli.rollback"),
    "lineage": ("show what a release came of, and what came of it", "affina.cli.lineage"),
    "compress": ("measure a run in fewer bits and pruned, and keep what fits", "affina.cli.compress"),
    "runs": ("list the runs", "affina.cli.runs"),
    "show": ("show one run: state, proofs, metrics, verdict", "affina.cli.show"),
    "list": ("list the parts a recipe can name", "affina.cli.list"),
    "describe": ("explain a part and its settings", "affina.cli.describe"),
    "matrix": ("try every task with every tuning on every architecture, in small", "affina.cli.matrix"),
    "schema": ("print the JSON schema of a recipe, for editors", "affina.cli.schema"),
}
