"""Going on with raw text: documents are packed into batches, and none sees another."""

from pathlib import Path

from tiny import recipe

import affina
from affina.core.recipe import Recipe
from affina.core.say import Silent
from affina.training.material import Material

HANDBOOK = Path(__file__).parents[2] / "examples" / "handbook"


def test_the_handbook_is_learnt_document_by_document_and_batches_isolate_them(tmp_path: Path, chat_model: Path) -> None:
    path = recipe(tmp_path, chat_model, str(HANDBOOK), data={"max_tokens": 128}, tuning="full", train={"steps": 4})
    changes = {"train.learning_rate": 0.001}
    material = Material.gather(Recipe.load(path, changes), offline=True, say=Silent())
    documents = {example.id: example.given for held in material.prepared.examples.values() for example in held}
    assert len(documents) == len([*HANDBOOK.iterdir()])
    stop = material.renderer.vocabulary.tokenizer.token_to_id("<|im_end|>")
    for row in material.rows:  # a row is of one document alone, and only its last row ends with the stop token
        assert row.id.rpartition("#")[0] in documents and stop not in row.tokens[:-1]
    run = affina.train(Recipe.load(path, changes), run="a", root=tmp_path / "runs")
    proofs = {each["name"]: each for each in run.read("proofs.json")["findings"]}
    assert proofs["packing_isolation"]["passed"]
    assert run.read("lock.json")["task"] == "text"
