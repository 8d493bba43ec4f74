"""What prepared data is filed under changes when the weights of a model that made it do."""

from pathlib import Path

from affina.core.atomic import sealed, write_json
from affina.evaluation.reach import weights


def test_a_run_trained_again_under_its_name_is_another_model(tmp_path: Path) -> None:
    checkpoint = tmp_path / "runs" / "mine" / "checkpoints" / "step-00000010"
    seen = []
    for content in ("first", "first", "second"):
        with sealed(checkpoint) as aside:
            (aside / "weights").write_text(content)
        write_json(tmp_path / "runs" / "mine" / "lock.json", {"seed": 0})
        seen.append(weights("mine", tmp_path / "runs"))
    assert seen[0] and seen[0] == seen[1] != seen[2]
    assert weights(str(tmp_path / "runs" / "mine"), tmp_path / "elsewhere") == seen[2]


def test_a_file_counts_by_its_content_and_a_name_from_elsewhere_by_itself(tmp_path: Path) -> None:
    file = tmp_path / "base.gguf"
    file.write_bytes(b"GGUF 1")
    before = weights(str(file), tmp_path)
    file.write_bytes(b"GGUF 2")
    assert before and weights(str(file), tmp_path) != before
    assert weights("org/model", tmp_path) == ""
