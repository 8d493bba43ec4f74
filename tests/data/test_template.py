"""Templates render exactly as transformers renders them, and cannot reach the interpreter."""

import json
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from families import CHATML, tokenizer_of
from transformers import AutoTokenizer, PreTrainedTokenizerFast

from affina.core.errors import Refused
from affina.core.example import Chat, Message
from affina.data.template import PLAIN, TOOLS, Template
from affina.data.tokens import Vocabulary

NAMED = {"bos_token": "<|im_start|>", "eos_token": "<|im_end|>", "pad_token": "<|im_end|>"}
TOOL = {"type": "function", "function": {"name": "look", "description": "Città <b>", "parameters": {"n": [1, 2.5]}}}
CALLED = Message("assistant", "", {"tool_calls": [{"type": "function", "function": TOOL["function"]}]})
ONE = (Message("user", "Ciao, 你好 🎈 <b>"),)
TWO = (Message("system", "Be brief."), *ONE, Message("assistant", " yes \n"), Message("user", "{{ 7*7 }} {% x %}"))
CONVERSATIONS = (ONE, TWO, (*TWO, Message("assistant", "")))

TEMPLATES = {
    "chatml": CHATML,
    "system_first": (
        "{%- if messages[0]['role'] == 'system' -%}{%- set said = messages[0]['content'] -%}"
        "{%- set rest = messages[1:] -%}"
        "{%- else -%}{%- set said = 'default' -%}{%- set rest = messages -%}{%- endif -%}"
        "{{ bos_token }}[{{ said | trim }}]\n{% for m in rest %}\n"
        "  {{ m.role|upper }}: {{ m.content|trim }}{{ eos_token }}\n"
        "{% endfor %}\n{% if add_generation_prompt %}A:{% endif %}"
    ),
    "loop_controls": (
        "{% for m in messages %}{% if m.role == 'system' %}{% continue %}{% endif %}{{ loop.index0 }}{{ m.content }}"
        "{% if loop.index > 2 %}{% break %}{% endif %}{% endfor %}"
    ),
    "generation": (
        "{% for m in messages %}{% if m.role == 'assistant' %}\n    {% generation %}\n"
        "  {{ m.content }}{{ eos_token }}\n    {% endgeneration %}\n"
        "{% else %}{{ m.role }}: {{ m.content }}\n{% endif %}{% endfor %}"
    ),
    "generation_scope": (
        "{% set x = 'out' %}{% generation %}{% set x = 'in' %}{{ x }}{{ messages[0].content }}"
        "{% endgeneration %}{{ x }}"
    ),
    "json": (
        "{{ messages | tojson }}|{{ messages[0] | tojson(indent=2) }}|{{ messages | tojson(ensure_ascii=True) }}"
        "|{{ messages[0] | tojson(separators=(',', ':'), sort_keys=True) }}"
    ),
    "tools": (
        "{% if tools %}{% for t in tools %}{{ t | tojson(indent=4) }}\n{% endfor %}"
        "{% else %}none{{ tools is none }}{% endif %}"
        "{% for m in messages %}{{ m.content }}{% if m.tool_calls %}{% for c in m.tool_calls %}{{ c.function.name }}"
        "{{ c.function.parameters | items | list }}{% endfor %}{% endif %}{% endfor %}"
    ),
    "namespace": (
        "{% set ns = namespace(n=0, d=dict(a=1)) %}"
        "{% for m in messages %}{% set ns.n = ns.n + m.content|length %}{% endfor %}"
        "{{ ns.n }}{{ ns.d.a }}{{ pad_token }}{{ absent is defined }}{{ documents is none }}"
    ),
    "day": "{{ strftime_now('%Y-%m') }}{{ messages[0].content }}",
    "macro": (
        "{% macro say(m) %}<{{ m.role }}>{{ caller() if caller else '' }}{% endmacro %}"
        "{% for m in messages %}{{ say(m) }}{% endfor %}"
    ),
    "plain": PLAIN.replace("{{ opening }}", "{{ bos_token }}"),
}


@cache
def theirs(source: str) -> Any:
    wrap: Any = PreTrainedTokenizerFast
    return wrap(tokenizer_object=tokenizer_of(), chat_template=source, **NAMED)


def expected(source: str, messages: tuple[Message, ...], tools: Any = None, opening: bool = False) -> str:
    conversation = [message.as_dict() for message in messages]
    made = theirs(source).apply_chat_template(conversation, tools=tools, add_generation_prompt=opening, tokenize=False)
    return str(made)


@pytest.mark.parametrize("opening", [False, True])
@pytest.mark.parametrize("source", TEMPLATES.values(), ids=TEMPLATES)
def test_a_template_renders_as_transformers_renders_it(source: str, opening: bool) -> None:
    template = Template(source, NAMED, own=True)
    for messages in CONVERSATIONS:
        assert template.render(messages, opening=opening) == expected(source, messages, opening=opening)


def test_tools_reach_a_template_as_transformers_gives_them() -> None:
    source = TEMPLATES["tools"]
    for messages in (ONE, (*ONE, CALLED)):
        assert Template(source, NAMED, own=True).render(messages, [TOOL]) == expected(source, messages, [TOOL])


def test_a_template_that_raises_is_refused_with_its_own_words() -> None:
    source = "{% if messages[0].role != 'user' %}{{ raise_exception('user first') }}{% endif %}fine"
    template = Template(source, NAMED, own=True)
    assert template.render(ONE) == expected(source, ONE) == "fine"
    with pytest.raises(Refused, match=r"refuses a conversation: user first.*plain"):
        template.render(TWO)


def test_a_template_that_does_not_compile_is_refused() -> None:
    with pytest.raises(Refused, match="does not compile"):
        Template("{% for m in messages %}", NAMED, own=True).render(ONE)


def test_the_date_is_todays() -> None:
    assert Template("{{ strftime_now('%Y') }}", NAMED, own=True).render(ONE) == f"{datetime.now():%Y}"


HOSTILE = [
    "{{ ''.__class__.__mro__[1].__subclasses__() }}",
    "{{ messages.__class__ }}",
    "{{ raise_exception.__globals__ }}",
    "{{ strftime_now.__closure__ }}",
    "{{ (messages | map(attribute='__class__') | list)[0].__base__ }}",
    "{{ cycler.__init__.__globals__.os.system('true') }}",
    "{{ lipsum.__globals__['os'].popen('id').read() }}",
    "{{ '{0.__class__.__mro__}'.format(messages) }}",
    "{{ ('{0.__class__}' | attr('format'))(messages) }}",
    "{{ messages.append(1) }}",
    "{{ messages[0].update({'role': 'x'}) }}",
    "{{ dict.mro() }}",
    "{{ range(10 ** 6) | list }}",
    "{{ self._TemplateReference__context }}",
    "{% include '/etc/passwd' %}",
    "{% import 'os' as os %}",
]


@pytest.mark.parametrize("source", HOSTILE)
def test_a_hostile_template_reaches_nothing(source: str) -> None:
    conversation = (Message("user", "a"),)
    try:
        said = Template(source, NAMED, own=True).render(conversation)
    except Refused:
        return
    assert said.strip() in ("", "<Undefined>") or "Undefined" in said
    assert conversation == (Message("user", "a"),)


@pytest.mark.parametrize("source", ["{{ 1 // 0 }}", "{{ 'a'.index('b') }}", "{{ 1 + 'a' }}", "{{ messages.x.y }}"])
def test_whatever_a_template_raises_becomes_a_sentence(source: str) -> None:
    with pytest.raises(Refused, match="refuses a conversation"):
        Template(source, NAMED, own=True).render(ONE)


def test_the_template_of_a_folder_is_the_file_then_the_settings_then_none(tmp_path: Path) -> None:
    assert Template.find(tmp_path, NAMED) is None
    settings = tmp_path / "tokenizer_config.json"
    settings.write_text(json.dumps({"eos_token": "x"}))
    assert Template.find(tmp_path, NAMED) is None
    named = [{"name": "tool_use", "template": "tools"}, {"name": "default", "template": "usual"}]
    settings.write_text(json.dumps({"chat_template": named}))
    assert Template.find(tmp_path, NAMED).source == "usual"  # type: ignore[union-attr]
    settings.write_text(json.dumps({"chat_template": "given"}))
    assert Template.find(tmp_path, NAMED).source == "given"  # type: ignore[union-attr]
    (tmp_path / "chat_template.jinja").write_text("file")
    found = Template.find(tmp_path, NAMED)
    assert found is not None and found.source == "file" and found.own


def test_a_template_sees_tools_only_when_all_of_them_reach_the_text() -> None:
    chats = {
        "tools": Chat(id="a", messages=ONE, tools=(TOOL,)),
        "calls": Chat(id="b", messages=(*ONE, CALLED)),
        "both": Chat(id="c", messages=(*ONE, CALLED), tools=(TOOL,)),
        "neither": Chat(id="d", messages=ONE),
    }
    seeing, blind = Template(TEMPLATES["tools"], NAMED, own=True), Template(CHATML, NAMED, own=True)
    half = Template("{{ tools | tojson }}{% for m in messages %}{{ m.content }}{% endfor %}", NAMED, own=True)
    assert {name: seeing.sees_tools(chat) for name, chat in chats.items()} == dict.fromkeys(chats, True)
    assert {name: blind.sees_tools(chat) for name, chat in chats.items()} == {
        "tools": False, "calls": False, "both": False, "neither": True
    }  # fmt: skip
    assert {name: half.sees_tools(chat) for name, chat in chats.items()} == {
        "tools": True, "calls": False, "both": False, "neither": True
    }  # fmt: skip


@pytest.mark.slow
def test_the_real_smollm2_template_renders_and_tokenizes_as_transformers_does() -> None:
    from affina.engine.source import find

    folder = find("smollm2-135m-instruct").folder
    own: Any = AutoTokenizer.from_pretrained(folder)
    vocabulary = Vocabulary(folder)
    template = Template.find(folder, vocabulary.named)
    assert template is not None
    for messages in CONVERSATIONS:
        for opening in (False, True):
            conversation = [message.as_dict() for message in messages]
            text = own.apply_chat_template(conversation, add_generation_prompt=opening, tokenize=False)
            assert template.render(messages, opening=opening) == text
            ids = own.apply_chat_template(conversation, add_generation_prompt=opening, tokenize=True)["input_ids"]
            assert vocabulary.encode([text])[0].ids == ids


TOLD = """<|im_start|>system
Be kind.

Tools:
<tools>
{"type": "function", "function": {"name": "find"}}
</tools><|im_end|>
<|im_start|>user
where is it?<|im_end|>
<|im_start|>assistant
let me see
<tool_call>
{"name": "find", "arguments": {"what": "\u00e8"}}
</tool_call>
<tool_call>
{"name": "find", "arguments": {}}
</tool_call><|im_end|>
<|im_start|>tool
[1]<|im_end|>
<|im_start|>assistant
""".replace("\\u00e8", "è")


def call_of(name: str, arguments: Any) -> Any:
    return {"type": "function", "function": {"name": name, "arguments": arguments}}


def test_our_template_with_tools_shows_them_and_every_call() -> None:
    calls = [call_of("find", {"what": "è"}), call_of("find", {})]
    messages = (
        Message("system", "Be kind."),
        Message("user", "where is it?"),
        Message("assistant", "let me see", {"tool_calls": calls}),
        Message("tool", "[1]"),
    )
    tools = [{"type": "function", "function": {"name": "find"}}]
    template = Template.with_tools({"<|im_start|>": 1, "<|im_end|>": 2})
    assert template.render(messages, tools, opening=True) == TOLD == expected(TOOLS, messages, tools, opening=True)
    chat = Chat(id="1", split="", messages=messages, tools=tuple(tools))
    assert template.sees_tools(chat)
    for messages in CONVERSATIONS:
        assert template.render(messages) == expected(TOOLS, messages)


def test_our_template_with_tools_needs_the_tokens_of_turns() -> None:
    with pytest.raises(Refused, match=r"no token <\|im_end\|>"):
        Template.with_tools({"<|im_start|>": 1})


GEMMA = (
    "{{ bos_token }}{% if messages[0].role == 'system' %}{{ raise_exception('System role not supported') }}{% endif %}"
    "{% for m in messages %}{{ '<start>' + m.role + '\n' + m.content + '<end>\n' }}{% endfor %}"
)
DEAF = (
    "{% for m in messages if m.role != 'system' %}{{ '<start>' + m.role + '\n' + m.content + '<end>\n' }}{% endfor %}"
)


@pytest.mark.parametrize("source", [GEMMA, DEAF], ids=["refuses", "leaves out"])
def test_a_template_without_a_place_for_a_system_message_says_it_before_the_users(source: str, tmp_path: Path) -> None:
    """A list of labels that a template leaves out would never reach the model."""
    (tmp_path / "chat_template.jinja").write_text(source)
    found = Template.find(tmp_path, NAMED)
    assert found is not None and found.folds
    said = (Message("system", "Be brief."), Message("user", "Hello"), Message("assistant", "Hi"))
    text = found.render(said)
    assert text == expected(found.source, said) and "<start>user\nBe brief.\n\nHello<end>" in text
    bare = Template(source, NAMED, own=True)
    assert found.render(said[1:]) == bare.render(said[1:])


@pytest.mark.parametrize("name", sorted(TEMPLATES.keys() - {"loop_controls"}))
def test_a_template_that_shows_system_messages_is_left_as_it_is(name: str, tmp_path: Path) -> None:
    (tmp_path / "chat_template.jinja").write_text(TEMPLATES[name])
    found = Template.find(tmp_path, NAMED)
    assert found is not None and found.source == TEMPLATES[name]
