"""What generation renders before an answer is, token for token, what training put before it."""

from affina.core.example import Chat
from affina.core.kinds import Bench, Finding, Proof
from affina.evaluation.probe import sampled, spans

READ = 200


class TemplateParity(Proof):
    """For every assistant turn: the tokens generation would start from are the row's tokens before that turn."""

    def examine(self, bench: Bench) -> Finding:
        if not isinstance(bench.examples[0], Chat):
            return Finding(True, "no conversations: no template is used")
        renderer, turns = bench.engine.renderer, 0
        read = sampled(bench.rows, READ, bench.seed)
        for place in read:
            example, row = bench.examples[place], bench.rows[place]
            assert isinstance(example, Chat)
            places = [number for number, message in enumerate(example.messages) if message.role == "assistant"]
            for number, (start, _) in zip(places, spans(row), strict=False):
                opening = renderer.opening(example.messages[:number], example.tools)
                if opening != row.tokens[:start].tolist():
                    return Finding(
                        False,
                        f"{row.id}: before turn {number + 1} generation renders {len(opening)} tokens that are not the "
                        f"{start} trained on; set data.template: plain, or choose another base",
                    )
                turns += 1
        return Finding(
            True, f"{turns} assistant turns of {len(read)} rows start from the tokens that generation renders"
        )
