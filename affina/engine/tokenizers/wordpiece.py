"""WordPiece (Schuster and Nakajima, 2012; Devlin et al., 2019): words and pieces, those inside a word marked ##."""

import json
from collections.abc import Sequence

from pydantic import Field
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

from affina.core.kinds import Tokenization

INSIDE = "##"


class WordPiece(Tokenization):
    """Words and pieces of words (Devlin et al., 2019). White space is not kept; a character never met is unknown."""

    lowercase: bool = False
    """Read capitals as small letters, and letters without their accents."""
    min_frequency: int = Field(2, ge=1)
    """How often a pair must stand in the texts to be merged."""

    def learn(self, texts: Sequence[str], special: Sequence[str], unknown: str) -> Tokenizer:
        tokenizer = Tokenizer(models.WordPiece(unk_token=unknown))
        tokenizer.normalizer = normalizers.BertNormalizer(lowercase=self.lowercase)
        tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
        tokenizer.decoder = decoders.WordPiece(prefix=INSIDE)
        # The trainer numbers pieces inside words as it meets them, in an order of its own each time: given beforehand,
        # as if special, they are the same each time.
        inside = [INSIDE + character for character in self._inside(tokenizer, texts)]
        trainer = trainers.WordPieceTrainer(
            vocab_size=self.vocabulary,
            min_frequency=self.min_frequency,
            special_tokens=[*special, *inside],
            continuing_subword_prefix=INSIDE,
            show_progress=False,
        )
        tokenizer.train_from_iterator(texts, trainer, length=len(texts))
        plain = json.loads(tokenizer.to_str())
        plain["added_tokens"] = [each for each in plain["added_tokens"] if each["content"] in special]
        return Tokenizer.from_str(json.dumps(plain))

    @staticmethod
    def _inside(tokenizer: Tokenizer, texts: Sequence[str]) -> list[str]:
        """Every character that stands in a word behind another."""
        found: set[str] = set()
        for text in texts:
            for word, _ in tokenizer.pre_tokenizer.pre_tokenize_str(tokenizer.normalizer.normalize_str(text)):
                found.update(word[1:])
        return sorted(found)
