"""Every assistant turn's targets end with a token that stops generation."""

from affina.core.example import Chat
from affina.core.kinds import Bench, Finding, Proof
from affina.evaluation.probe import spans


class StopToken(Proof):
    """As many supervised spans as assistant turns, each ending in a stop token; else the model never learns to stop."""

    def examine(self, bench: Bench) -> Finding:
        if not isinstance(bench.examples[0], Chat):
            return Finding(True, "no conversations: nothing to stop")
        stops, turns = bench.engine.renderer.stops, 0
        for example, row in zip(bench.examples, bench.rows, strict=True):
            assert isinstance(example, Chat)
            found = spans(row)
            asked = sum(message.role == "assistant" for message in example.messages)
            whole = [int(row.tokens[stop - 1]) in stops for _, stop in found]
            if row.cut_targets and bench.truncate == "allow":
                asked, whole = len(found), whole[:-1]
            if len(found) != asked or not all(whole):
                return Finding(
                    False,
                    f"{row.id}: {sum(whole)} of {asked} assistant turns end in a stop token; "
                    "set data.template: plain, or raise data.max_tokens if the row was cut",
                )
            turns += asked
        shown = ", ".join(str(stop) for stop in sorted(stops))
        return Finding(True, f"{turns} assistant turns in {len(bench.rows)} rows end in one of the stop tokens {shown}")
