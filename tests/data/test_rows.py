"""Rows: which tokens are learnt, down to the token; what cannot be rendered faithfully is refused with its reason."""

import json
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from families import CHATML, STOP, tokenizer_of, write_tokenizer
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import pre_tokenizers, processors

from affina.core.errors import Refused
from affina.core.example import Chat, Example, Labelled, Message, Text
from affina.core.kinds import Row
from affina.data.rows import Renderer

THREE = (
    Message("system", "Be brief."),
    Message("user", "Where is it?"),
    Message("assistant", "In Turin."),
    Message("user", "And now?"),
    Message("assistant", "In Milan."),
    Message("user", "Thanks."),
    Message("assistant", "Bye"),
)


def folder_with(folder: Path, template: str | None = CHATML, **config: Any) -> Path:
    write_tokenizer(folder, template=template)
    (folder / "config.json").write_text(json.dumps(config))
    return folder


@pytest.fixture
def renderer(tmp_path: Path) -> Renderer:
    return Renderer.open(folder_with(tmp_path))


def chat(*messages: Message, name: str = "rows.jsonl:1") -> Chat:
    return Chat(id=name, messages=messages)


def asked(question: str, answer: str) -> Chat:
    return chat(Message("user", question), Message("assistant", answer))


def learnt(renderer: Renderer, row: Row) -> list[str]:
    return [text for text, supervised in renderer.pieces(row) if supervised]


# ── conversations ──
def test_every_assistant_turn_is_learnt_with_its_stop_token_and_without_the_white_space_after_it(
    renderer: Renderer,
) -> None:
    (row,) = renderer.rows([chat(*THREE)])
    assert learnt(renderer, row) == ["In Turin.<|im_end|>", "In Milan.<|im_end|>", "Bye<|im_end|>"]
    assert renderer.text(row.tokens.tolist()).endswith("Bye")
    assert row.tokens[-1] == STOP and row.weights[-1] == 1  # padding and stop at once, and learnt all the same
    assert (row.cut, row.cut_targets, row.label) == (0, 0, -1)


def test_a_conversation_of_one_answer_is_rendered_twice_whole_and_before_it(
    renderer: Renderer, monkeypatch: pytest.MonkeyPatch
) -> None:
    rendered, render = [], renderer.template.render

    def counted(messages: Any, *given: Any, **more: Any) -> str:
        rendered.append(len(messages))
        return render(messages, *given, **more)

    monkeypatch.setattr(renderer.template, "render", counted)
    renderer.rows([asked("Where is it?", "In Turin.")])
    assert rendered == [2, 1]


def test_the_stop_tokens_of_other_roles_are_not_learnt(renderer: Renderer) -> None:
    (row,) = renderer.rows([chat(*THREE)])
    assert np.count_nonzero(row.tokens == STOP) == 7
    assert np.count_nonzero(row.weights[row.tokens == STOP]) == 3


def test_the_targets_start_where_generation_starts(renderer: Renderer) -> None:
    (row,) = renderer.rows([chat(*THREE)])
    starts = np.flatnonzero(np.diff(np.r_[0, row.weights]) > 0)
    for start, place in zip(starts, (2, 4, 6), strict=True):
        assert renderer.opening(THREE[:place]) == row.tokens[:start].tolist()
    assert renderer.prompt(chat(*THREE)) == renderer.opening(THREE[:6])
    assert renderer.prompt(chat(*THREE[:6])) == renderer.opening(THREE[:6])


@pytest.mark.parametrize("word", ["assistant", "user\nassistant\n", "im_start assistant", "<|im_start", "|im_end|>"])
def test_the_words_of_markers_in_a_text_move_no_span(word: str, renderer: Renderer) -> None:
    example = asked(f"{word} {word}", f"the {word} said {word}")
    (row,) = renderer.rows([example])
    assert learnt(renderer, row) == [f"the {word} said {word}<|im_end|>"]
    assert renderer.objection(example) == ""


def test_a_marker_spelt_out_in_a_text_is_objected_to(renderer: Renderer) -> None:
    for example in (
        asked("stop <|im_end|>", "yes"),
        asked("a", "b<|im_end|>\n<|im_start|>user"),
        Labelled(id="a", text="see [SEP]", label="x"),
        Text(id="b", text="<|im_start|>"),
    ):
        assert "special token" in renderer.objection(example)


@pytest.mark.parametrize("answer", ["", " ", "\n", "\n\n", "\n\nyes", "🎈", "👩‍👩‍👧 è così 你好", "a\n\n", "  two "])
def test_an_answer_is_learnt_to_the_byte(answer: str, renderer: Renderer) -> None:
    example = asked("perché 🎈?\n", answer)
    (row,) = renderer.rows([example])
    assert learnt(renderer, row) == [f"{answer}<|im_end|>"]
    assert renderer.prompt(example) == row.tokens[: np.flatnonzero(row.weights)[0]].tolist()


TURNS = st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=12), min_size=2, max_size=6)


@cache
def shared_renderer(folder: Path) -> Renderer:
    return Renderer.open(folder_with(folder), max_tokens=4096)


@settings(deadline=None, max_examples=150)
@given(said=TURNS)
def test_the_pieces_spell_the_conversation_and_the_spans_are_the_assistant_turns(
    said: list[str], tmp_path_factory: pytest.TempPathFactory
) -> None:
    renderer = shared_renderer(tmp_path_factory.getbasetemp() / "rows")
    messages = [Message("user" if place % 2 == 0 else "assistant", text) for place, text in enumerate(said)]
    example = chat(*messages)
    (row,) = renderer.rows([example])
    whole = "".join(f"<|im_start|>{m.role}\n{m.content}<|im_end|>\n" for m in messages)
    answers = [m for m in messages if m.role == "assistant"]
    last = f"{answers[-1].content}<|im_end|>"
    assert "".join(text for text, _ in renderer.pieces(row)) == whole[: whole.rindex("assistant\n") + 10] + last
    assert learnt(renderer, row) == [f"{m.content}<|im_end|>" for m in answers]
    assert "".join(text for text, _ in renderer.turns(example)) == "".join(text for text, _ in renderer.pieces(row))
    starts = np.flatnonzero(np.diff(np.r_[0, row.weights]) > 0)
    for start, place in zip(starts, range(1, len(messages), 2), strict=True):
        assert renderer.opening(messages[:place]) == row.tokens[:start].tolist()


SPACED = (
    "{% for m in messages %}{{ m.role }}: {{ m.content }}{{ eos_token if m.role == 'assistant' }}\n{% endfor %}"
    "{% if add_generation_prompt %}assistant: {% endif %}"
)


@pytest.mark.parametrize("trimmed", [False, True])
def test_a_token_across_the_edge_of_an_answer_is_divided(trimmed: bool, tmp_path: Path) -> None:
    # The template ends the prompt with a space, which byte-level tokenizers join to the next word: "assistant: yes".
    folder = folder_with(tmp_path, SPACED)
    tokenizer = tokenizer_of()
    tokenizer.post_processor = processors.ByteLevel(trim_offsets=trimmed)
    tokenizer.save(str(folder / "tokenizer.json"))
    renderer = Renderer.open(folder)
    example = asked("is it the one", "the one")
    (row,) = renderer.rows([example])
    assert learnt(renderer, row) == ["the one<|im_end|>"]
    assert renderer.prompt(example) == row.tokens[: np.flatnonzero(row.weights)[0]].tolist()


@pytest.mark.parametrize("question", ["where\n", "where\n\n", "where  ", "where \n", "\n"])
def test_white_space_before_an_answer_is_tokenized_as_generation_has_it(question: str, tmp_path: Path) -> None:
    # The plain template ends a turn with a line end: "where\n\n" ends in one token where the text ends, else in two.
    renderer = Renderer.open(folder_with(tmp_path, template=None))
    example = asked(question, "the one")
    (row,) = renderer.rows([example])
    assert learnt(renderer, row) == ["the one<|im_end|>"]
    assert renderer.prompt(example) == row.tokens[: np.flatnonzero(row.weights)[0]].tolist()


def test_a_template_that_rewrites_earlier_turns_is_refused(tmp_path: Path) -> None:
    source = CHATML.replace("message['content']", "(message['content'] if loop.last else message['content']|upper)")
    renderer = Renderer.open(folder_with(tmp_path, source))
    with pytest.raises(Refused, match=r"rows.jsonl:1.*not prefix-stable.*turn 3 renders differently.*plain"):
        renderer.rows([chat(*THREE)])


def test_a_template_that_opens_answers_otherwise_than_it_renders_them_is_refused(tmp_path: Path) -> None:
    renderer = Renderer.open(folder_with(tmp_path, CHATML.replace("assistant\n' }}", "assistant\n<think>' }}")))
    with pytest.raises(Refused, match="not as generation would open it"):
        renderer.rows([asked("a", "b")])


def test_a_template_without_a_stop_token_is_refused(tmp_path: Path) -> None:
    source = SPACED.replace("{{ eos_token if m.role == 'assistant' }}", "")
    with pytest.raises(Refused, match=r"without a stop token.*never learn to stop.*plain"):
        Renderer.open(folder_with(tmp_path, source)).rows([asked("a", "b")])


def test_a_conversation_without_an_answer_is_refused(renderer: Renderer) -> None:
    with pytest.raises(Refused, match="no assistant turn"):
        renderer.rows([chat(Message("user", "a"))])


TOOLS = ({"type": "function", "function": {"name": "look"}},)


@pytest.mark.parametrize(
    "example",
    [
        Chat(id="t:1", messages=THREE, tools=TOOLS),
        chat(
            Message("user", "a"), Message("assistant", "", {"tool_calls": [{"x": 1}]}), Message("tool", "b"), name="t:1"
        ),
    ],
)
@pytest.mark.parametrize("template", ["own", "plain"])
def test_tools_that_a_template_leaves_out_are_refused(example: Chat, template: str, tmp_path: Path) -> None:
    renderer = Renderer.open(folder_with(tmp_path), template)
    with pytest.raises(Refused, match=r"t:1.*leaves out tools"):
        renderer.rows([example])


def test_a_base_without_a_template_gets_the_plain_one_and_says_so(tmp_path: Path) -> None:
    folder = folder_with(tmp_path, template=None)
    renderer = Renderer.open(folder)
    assert not renderer.template.own and any("no chat template" in note for note in renderer.notes)
    (row,) = renderer.rows([chat(*THREE)])
    assert learnt(renderer, row) == ["In Turin.<|im_end|>", "In Milan.<|im_end|>", "Bye<|im_end|>"]
    given = "".join(text for text, _ in renderer.pieces(row))
    assert (
        given == "Be brief.\nWhere is it?\nIn Turin.<|im_end|>\nAnd now?\nIn Milan.<|im_end|>\nThanks.\nBye<|im_end|>"
    )
    with pytest.raises(Refused, match="no chat template"):
        Renderer.open(folder, "own")


def test_plain_text_is_chosen_over_a_template_when_asked(tmp_path: Path) -> None:
    renderer = Renderer.open(folder_with(tmp_path), "plain")
    assert not renderer.template.own and renderer.notes == ()
    assert renderer.rows([asked("a", "b")])[0].tokens.tolist() == [
        *renderer.vocabulary.encode(["a\n"])[0].ids, *renderer.vocabulary.encode(["b"])[0].ids, STOP
    ]  # fmt: skip


def test_the_stop_tokens_are_the_declared_ones_and_the_one_the_template_ends_with(tmp_path: Path) -> None:
    source = CHATML.replace("<|im_end|>", "[SEP]")
    assert Renderer.open(folder_with(tmp_path, source, eos_token_id=9)).stops == {STOP, 9, 3}


# ── length ──
def test_a_row_that_is_too_long_is_cut_and_counted(renderer: Renderer) -> None:
    (whole,) = renderer.rows([chat(*THREE)])
    for most in range(8, len(whole.tokens) + 2):
        renderer.max_tokens = most
        (row,) = renderer.rows([chat(*THREE)])
        kept = min(most, len(whole.tokens))
        assert row.tokens.tolist() == whole.tokens[:kept].tolist()
        assert row.cut == len(whole.tokens) - kept
        assert row.cut_targets == np.count_nonzero(whole.weights[kept:])
        assert row.targets == np.count_nonzero(whole.weights[:kept])


def test_the_bases_own_limit_lowers_max_tokens_and_says_so(tmp_path: Path) -> None:
    renderer = Renderer.open(folder_with(tmp_path, max_position_embeddings=64), max_tokens=100)
    assert renderer.max_tokens == 64 and "lowered to 64" in renderer.notes[0]


@settings(deadline=None, max_examples=100)
@given(text=st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=80), most=st.integers(2, 20))
def test_every_token_of_raw_text_but_the_first_is_a_target_exactly_once(
    text: str, most: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    renderer = shared_renderer(tmp_path_factory.getbasetemp() / "rows")
    whole = [*renderer.vocabulary.encode([text])[0].ids, STOP]
    cut = Renderer(renderer.vocabulary, renderer.template, most)
    rows = cut.rows([Text(id="t", text=text)])
    assert [row.id for row in rows] == [f"t#{number}" for number in range(1, len(rows) + 1)]
    assert all(2 <= len(row.tokens) <= most for row in rows)
    targets = [token for row in rows for token, weight in zip(row.tokens, row.weights, strict=True) if weight]
    assert targets == whole[1:]
    place = 0
    for row in rows:  # and each is predicted from the text right before it
        assert row.tokens.tolist() == whole[place : place + len(row.tokens)]
        assert row.weights.tolist() == [0.0] + [1.0] * (len(row.tokens) - 1)
        place += len(row.tokens) - 1


def test_raw_text_ends_with_one_stop_token(renderer: Renderer) -> None:
    rows = renderer.rows([Text(id="a", text="the parcel")])
    assert rows[-1].tokens[-1] == STOP and np.count_nonzero(rows[-1].tokens == STOP) == 1
    assert renderer.continued("the parcel") == rows[0].tokens[:-1].tolist()


# ── labels ──
def test_a_label_row_has_no_targets_and_keeps_its_closing_token_when_cut(tmp_path: Path) -> None:
    folder = folder_with(tmp_path)
    tokenizer_of(encoder=True).save(str(folder / "tokenizer.json"))
    example = Labelled(id="l", text="where is my parcel", label="b", labels=("a", "b"))
    (whole,) = Renderer.open(folder).rows([example])
    cut_renderer = Renderer.open(folder, max_tokens=5)
    (cut,) = cut_renderer.rows([example])
    assert (whole.tokens[0], whole.tokens[-1]) == (2, 3) and whole.label == 1 and not whole.weights.any()
    assert cut.tokens.tolist() == [*whole.tokens[:4].tolist(), 3]
    assert cut.cut == len(whole.tokens) - 5 and cut.cut_targets == 0


def test_a_label_outside_the_known_set_is_minus_one(renderer: Renderer) -> None:
    (row,) = renderer.rows([Labelled(id="l", text="where", label="z", labels=("a", "b"))])
    assert row.label == -1
    (cut,) = Renderer(renderer.vocabulary, renderer.template, 2).rows([Labelled(id="l", text="abcdef", label="z")])
    assert len(cut.tokens) == 2 and cut.tokens[-1] != STOP  # no closing token: nothing to keep


def test_rows_keep_the_order_of_mixed_examples(renderer: Renderer) -> None:
    examples: list[Example] = [
        Text(id="t", text="abc"), asked("a", "b"), Labelled(id="l", text="x", label=""), Text(id="u", text="d")
    ]  # fmt: skip
    assert [row.id for row in renderer.rows(examples)] == ["t#1", "rows.jsonl:1", "l", "u#1"]
    assert renderer.rows([]) == []


def test_a_text_opens_with_the_token_that_the_tokenizer_puts_first(tmp_path: Path) -> None:
    folder = folder_with(tmp_path, template=None)
    tokenizer = tokenizer_of()
    first = [("<|im_start|>", 0)]
    tokenizer.post_processor = processors.TemplateProcessing(single="<|im_start|> $A", special_tokens=first)
    tokenizer.save(str(folder / "tokenizer.json"))
    given = json.loads((folder / "tokenizer_config.json").read_text())
    (folder / "tokenizer_config.json").write_text(json.dumps({**given, "bos_token": "<|im_start|>"}))
    renderer = Renderer.open(folder)
    for tokens in (
        renderer.rows([Text(id="t", text="abc")])[0].tokens.tolist(),
        renderer.rows([asked("abc", "d")])[0].tokens.tolist(),
        renderer.continued("abc"),
        renderer.opening([Message("user", "abc")]),
    ):
        assert tokens[0] == 0 and 0 not in tokens[1:]


@pytest.mark.slow
def test_the_real_smollm2_learns_every_turn_and_starts_where_generation_starts() -> None:
    from affina.engine.source import find

    renderer = Renderer.open(find("smollm2-135m-instruct").folder)
    (row,) = renderer.rows([chat(*THREE)])
    assert learnt(renderer, row) == ["In Turin.<|im_end|>", "In Milan.<|im_end|>", "Bye<|im_end|>"]
    starts = np.flatnonzero(np.diff(np.r_[0, row.weights]) > 0)
    for start, place in zip(starts, (2, 4, 6), strict=True):
        assert renderer.opening(THREE[:place]) == row.tokens[:start].tolist()


def test_a_tokenizer_that_drops_white_space_still_gives_whole_answers(tmp_path: Path) -> None:
    folder = folder_with(tmp_path, SPACED)
    tokenizer = tokenizer_of()
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.WhitespaceSplit(), pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)]
    )
    tokenizer.save(str(folder / "tokenizer.json"))
    renderer = Renderer.open(folder)
    (row,) = renderer.rows([asked("is it the one", "the one")])
    assert learnt(renderer, row) == ["theone<|im_end|>"]
