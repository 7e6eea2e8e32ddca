"""What every engine shares: a checkpoint's tokenizer, its end tokens and its context. No weights are loaded here."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from transformers import AutoConfig, AutoTokenizer, GenerationConfig

from quagpredict.errors import CheckpointError, UsageError
from quagpredict.program import weights_digest


def load_tokenizer(checkpoint: str | Path, revision: str | None = None) -> Any:
    """Return a checkpoint's tokenizer as transformers has it.

    Where Mistral's own library is installed (vLLM brings it) and the checkpoint has a file for it, transformers would
    return that library's tokenizer, which ignores ``chat_template``.
    """
    return AutoTokenizer.from_pretrained(checkpoint, revision=revision or "main", mistral_format=False)


class Tokens:
    """Text to tokens and back, as every engine does it.

    Parameters
    ----------
    checkpoint : path
        Folder with ``config.json``, weights and tokenizer.

    Attributes
    ----------
    checkpoint : str
        The folder.
    end_tokens : list of int
        Tokens that end a response: those of ``generation_config.json`` (else of ``config.json``) and the tokenizer's.
    context : int or None
        The most tokens that prompt and response may take together; None if the model names no limit.

    Raises
    ------
    CheckpointError
        If the folder is not a checkpoint, or names no end token.
    """

    def __init__(self, checkpoint: str | Path) -> None:
        weights_digest(checkpoint)
        self.checkpoint = str(checkpoint)
        try:
            self.tokenizer: Any = load_tokenizer(checkpoint)
            self._config: Any = AutoConfig.from_pretrained(checkpoint)
        except (OSError, ValueError, RuntimeError, KeyError) as error:
            raise cannot_be_loaded(checkpoint, error) from error
        self.end_tokens = self._end_tokens()
        self.context: int | None = getattr(self._config.get_text_config(), "max_position_embeddings", None)

    def _end_tokens(self) -> list[int]:
        try:
            generation = GenerationConfig.from_pretrained(self.checkpoint)
        except OSError:  # no such file
            generation = GenerationConfig.from_model_config(self._config)
        listed = generation.eos_token_id
        ends = set(listed if isinstance(listed, list) else [listed]) | {self.tokenizer.eos_token_id}
        ends.discard(None)
        if not ends:
            raise CheckpointError(
                f"{self.checkpoint}: names no end token, so every response would run to the budget: set eos_token_id "
                "in its generation_config.json"
            )
        return sorted(ends)

    def check_context(self, tokens: int) -> None:
        """Refuse what the model's positions do not reach: beyond them numbers come out, and are wrong.

        Raises
        ------
        CheckpointError
            If `tokens` are more than the context.
        """
        if self.context is not None and tokens > self.context:
            raise CheckpointError(
                f"prompt and response may take {tokens} tokens, the checkpoint's context is {self.context}: lower "
                "sampling.max_new_tokens or held_out_max_tokens in the suite"
            )

    def encode_prompt(self, prompt: str, system_prompt: str | None = None) -> tuple[int, ...]:
        """Return the prompt's tokens; see `quagpredict.engines.contract.Engine`."""
        if self.tokenizer.chat_template is None:
            text = prompt if system_prompt is None else f"{system_prompt}\n\n{prompt}"
            return tuple(self.tokenizer(text)["input_ids"])
        messages = [] if system_prompt is None else [{"role": "system", "content": system_prompt}]
        messages.append({"role": "user", "content": prompt})
        # The template writes the start token itself; tokenizing its text again would add a second one.
        return tuple(
            self.tokenizer.apply_chat_template(messages, add_generation_prompt=True, return_dict=True)["input_ids"]
        )

    def encode_completion(self, completion: str) -> tuple[int, ...]:
        """Return the tokens of a whole response; see `quagpredict.engines.contract.Engine`."""
        tokens = self.tokenizer(completion, add_special_tokens=False)["input_ids"]
        return (*tokens, self.tokenizer.eos_token_id)

    def decode(self, tokens: Sequence[int]) -> str:
        """Return the text of a response; see `quagpredict.engines.contract.Engine`."""
        return str(self.tokenizer.decode(tokens, skip_special_tokens=True))


def cannot_be_loaded(checkpoint: str | Path, error: Exception) -> CheckpointError:
    """Return the one-line error for a checkpoint that a library refused."""
    return CheckpointError(f"{checkpoint}: cannot be loaded ({' '.join(str(error).split())[:300]})")


def closed() -> UsageError:
    """Return the error for an engine that is asked for more after it was closed."""
    return UsageError("this engine is closed: load the checkpoint again")
