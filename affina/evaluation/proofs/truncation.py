"""No row loses a token to the length limit unless the recipe allows it."""

from affina.core.kinds import Bench, Finding, Proof


class Truncation(Proof):
    """Rows longer than `data.max_tokens` are refused; with `data.truncate: allow` what they lose is counted."""

    def examine(self, bench: Bench) -> Finding:
        cut = [row for row in bench.rows if row.cut]
        longest = max(len(row.tokens) + row.cut for row in bench.rows)
        if not cut:
            return Finding(True, f"the longest of {len(bench.rows)} rows has {longest} tokens; nothing is cut")
        lost = (
            f"{len(cut)} of {len(bench.rows)} rows are longer than {bench.engine.renderer.max_tokens} tokens "
            f"({cut[0].id} first) and lose {sum(row.cut for row in cut)} tokens, "
            f"{sum(row.cut_targets for row in cut)} of them targets"
        )
        if bench.truncate == "allow":
            return Finding(True, f"{lost}; data.truncate allows it")
        return Finding(False, f"{lost}: set data.max_tokens: {longest}, or data.truncate: allow to cut them")
