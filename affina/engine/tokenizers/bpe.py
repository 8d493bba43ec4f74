"""Byte-level BPE (Sennrich et al., 2016; Radford et al., 2019): again and again the commonest pair is merged."""

from collections.abc import Sequence

from pydantic import Field
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

from affina.core.kinds import Tokenization


class BPE(Tokenization):
    """Byte-level pair merges (Radford et al., 2019): 256 bytes to begin with, so that every text has tokens."""

    min_frequency: int = Field(2, ge=1)
    """How often a pair must stand in the texts to be merged."""

    def learn(self, texts: Sequence[str], special: Sequence[str], unknown: str) -> Tokenizer:
        tokenizer = Tokenizer(models.BPE())
        tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        tokenizer.decoder = decoders.ByteLevel()
        trainer = trainers.BpeTrainer(
            vocab_size=self.vocabulary,
            min_frequency=self.min_frequency,
            special_tokens=[*special],
            initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
            show_progress=False,
        )
        tokenizer.train_from_iterator(texts, trainer, length=len(texts))
        return tokenizer
