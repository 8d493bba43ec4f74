"""The recipe of SQuAD tests on paragraphs that it did not learn from."""

import json
import random
from pathlib import Path

from affina.core.example import Question
from affina.core.recipe import Recipe
from affina.data.prepare import prepare

ROOT = Path(__file__).resolve().parents[2]


def test_questions_about_one_paragraph_are_in_one_split(tmp_path: Path) -> None:
    dice, rows = random.Random(0), []
    words = ["".join(dice.choices("abcdefghilmnoprstuvz", k=7)) for _ in range(400)]
    for _ in range(40):
        context = " ".join(dice.choices(words, k=12))
        for _ in range(3):
            answer = dice.choice(context.split())
            # long questions: near-duplicates do not keep these together
            question = " ".join(dice.choices(words, k=60))
            answers = {"text": [answer], "answer_start": [context.index(answer)]}
            rows.append({"question": question, "context": context, "answers": answers})
    (tmp_path / "squad.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    recipe = Recipe.load(ROOT / "recipes" / "squad.yaml").model_dump(mode="json")
    found = prepare(Recipe.build(recipe, tmp_path))
    held = [{each.context for each in examples if isinstance(each, Question)} for examples in found.examples.values()]
    assert sum(map(len, held)) == len(set().union(*held)) == 40
    assert sum(map(len, found.examples.values())) == 120
