"""Who speaks in a turn, whatever a file calls them: the roles of a conversation."""

import re
from collections.abc import Iterable

CALLED = {
    "user": """user human prompter customer client caller asker questioner visitor patient student utente cliente
    umano persona domanda""",
    "assistant": """assistant gpt chatgpt bot chatbot agent model ai llm operator wizard answerer sys assistente agente
    operatore modello risposta""",
    "system": "system sistema instruction",
    "tool": "tool function observation function_response tool_response",
    "developer": "developer",
}
NAMES = {name: role for role, names in CALLED.items() for name in re.findall(r"\w+", names)}


def role_of(speaker: object) -> str:
    """The role that a speaker's name means; empty where it means none."""
    return NAMES.get(speaker.strip().lower(), "") if isinstance(speaker, str) else ""


def learnt(speakers: Iterable[str]) -> tuple[str, str] | None:
    """Who asks and who answers, as the data call them, or None where their names do not tell.

    Where nobody else answers, a speaker called `system` does: so dialogues with a machine are written down.
    """
    called: dict[str, list[str]] = {}
    for speaker in dict.fromkeys(speakers):
        called.setdefault(role_of(speaker), []).append(speaker)
    answering = called.get("assistant") or called.get("system") or []
    asking = called.get("user", [])
    return (asking[0], answering[0]) if asking and answering and "" not in called else None
