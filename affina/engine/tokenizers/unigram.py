"""Unigram (Kudo, 2018): the pieces that make the texts likeliest, each with its probability; bytes for what is rare."""

from collections import Counter
from collections.abc import Sequence

from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

from affina.core.kinds import Tokenization
from affina.engine.pieces import pieces

BYTES = tuple(f"<0x{byte:02X}>" for byte in range(256))
LETTERS = "<0x123456789ABCDEF>"  # always pieces, so that a byte's name in a text is read as letters
NEVER = -1000.0  # log-probability of a byte's name against its letters'


class Unigram(Tokenization):
    """The likeliest division into pieces (Kudo, 2018), white space kept; a character never met becomes its bytes.

    A ▁ in a text is read as a space.
    """

    def learn(self, texts: Sequence[str], special: Sequence[str], unknown: str) -> Tokenizer:
        """256 of the vocabulary are bytes."""
        divided = pre_tokenizers.Sequence(
            [pre_tokenizers.Split("\n", "isolated"), pre_tokenizers.Metaspace(prepend_scheme="never")]
        )
        words: Counter[str] = Counter([LETTERS])
        for text in texts:
            words.update(word for word, _ in divided.pre_tokenize_str(text))
        learnt = pieces(words, self.vocabulary - len(special) - len(BYTES))
        known = [*((token, 0.0) for token in special), *learnt, *((byte, NEVER) for byte in BYTES)]
        tokenizer = Tokenizer(models.Unigram(known, special.index(unknown), byte_fallback=True))
        tokenizer.pre_tokenizer = divided
        tokenizer.decoder = decoders.Sequence(
            [decoders.ByteFallback(), decoders.Metaspace(prepend_scheme="never"), decoders.Fuse()]
        )
        tokenizer.add_special_tokens([AddedToken(token, special=True, normalized=False) for token in special])
        return tokenizer
