"""What every engine shares: a checkpoint's tokenizer, its end tokens and its context. No weights are loaded here."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from transformers import AutoConfig, AutoTokenizer, GenerationConfig

from quagpredict.checkpoint import weights_digest
from quagpredict.errors import CheckpointError, UsageError, one_line


def load_tokenizer(checkpoint: str | Path, revision: str | None = None) -> Any:
    """Return a checkpoint's tokenizer as transformers has it.

    Where Mistral's own library is installed (vLLM brings it) and the checkpoint has a file for it, transformers would
    return that library's tokenizer, which ignores ``chat_template``.

    Raises
    ------
    CheckpointError
        If there is none, or it cannot be used.
    """
    try:
        tokenizer = AutoTokenizer.from_pretrained(checkpoint, revision=revision or "main", mistral_format=False)
    except Exception as error:  # the tokenizers library raises Exception itself
        raise cannot_be_loaded(checkpoint, error, "its tokenizer") from error
    return tokenizer


def check_chat_template(tokenizer: Any, owner: str | Path) -> None:
    """Refuse a chat template that cannot render one question of a user; `owner` is what the error names.

    Raises
    ------
    CheckpointError
    """
    if tokenizer.chat_template is not None:
        _templated(tokenizer, [{"role": "user", "content": "1"}], owner)


def _templated(tokenizer: Any, messages: list[dict[str, str]], owner: str | Path) -> tuple[int, ...]:
    try:
        made = tokenizer.apply_chat_template(messages, add_generation_prompt=True, return_dict=True)["input_ids"]
    except Exception as error:  # a template is a program: it raises what it likes
        raise CheckpointError(
            f"{owner}: its chat template cannot render {' and '.join(message['role'] for message in messages)} "
            f"({one_line(error)}): mend chat_template"
        ) from error
    return tuple(made)


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
        self._config: Any = load_config(checkpoint)
        self.tokenizer: Any = load_tokenizer(checkpoint)
        check_chat_template(self.tokenizer, checkpoint)
        self.end_tokens = self._end_tokens()
        text = self._config.get_text_config()
        self.context: int | None = getattr(text, "max_position_embeddings", None)
        self._vocabulary: int | None = getattr(text, "vocab_size", None)

    def _end_tokens(self) -> list[int]:
        try:
            if (Path(self.checkpoint) / "generation_config.json").is_file():
                generation = GenerationConfig.from_pretrained(self.checkpoint)
            else:
                generation = GenerationConfig.from_model_config(self._config)
        except Exception as error:  # a damaged file would leave its end tokens out
            raise cannot_be_loaded(self.checkpoint, error, "its generation_config.json") from error
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
            return self._known(self.tokenizer(text)["input_ids"])
        messages = [] if system_prompt is None else [{"role": "system", "content": system_prompt}]
        messages.append({"role": "user", "content": prompt})
        # The template writes the start token itself; tokenizing its text again would add a second one.
        return self._known(_templated(self.tokenizer, messages, self.checkpoint))

    def encode_completion(self, completion: str) -> tuple[int, ...]:
        """Return the tokens of a whole response; see `quagpredict.engines.contract.Engine`."""
        tokens = self._known(self.tokenizer(completion, add_special_tokens=False)["input_ids"])
        own = self.tokenizer.eos_token_id
        return (*tokens, self.end_tokens[0] if own is None else own)

    def _known(self, tokens: Sequence[int]) -> tuple[int, ...]:
        """Refuse a token that the model has no embedding for: a kernel would read beside the table."""
        if self._vocabulary is not None and (most := max(tokens, default=0)) >= self._vocabulary:
            shown = self.tokenizer.convert_ids_to_tokens(most)
            raise CheckpointError(
                f"{self.checkpoint}: its tokenizer makes token {most} ('{shown}'), its model knows "
                f"{self._vocabulary} tokens: give it the tokenizer that it was trained with"
            )
        return tuple(tokens)

    def decode(self, tokens: Sequence[int]) -> str:
        """Return the text of a response; see `quagpredict.engines.contract.Engine`."""
        return str(self.tokenizer.decode(tokens, skip_special_tokens=True))


def load_config(checkpoint: str | Path, revision: str | None = None) -> Any:
    """Return a checkpoint's config; one that is damaged, or of quantised weights, is refused.

    Raises
    ------
    CheckpointError
    """
    try:
        config = AutoConfig.from_pretrained(checkpoint, revision=revision or "main")
    except Exception as error:  # what a config may raise has no common base
        raise cannot_be_loaded(checkpoint, error, "its config.json") from error
    quantised = getattr(config, "quantization_config", None)
    if quantised is not None:
        method = quantised.get("quant_method") if isinstance(quantised, dict) else None
        raise CheckpointError(
            f"{checkpoint}: its weights are quantised{f' ({method})' if method else ''}, and RL starts from whole "
            "ones: measure the checkpoint that it was made of"
        )
    return config


def cannot_be_loaded(checkpoint: str | Path, error: Exception, part: str = "") -> CheckpointError:
    """Return the one-line error for a checkpoint, or a part of one, that a library refused."""
    return CheckpointError(f"{checkpoint}: {part}{' ' if part else ''}cannot be loaded ({one_line(error)})")


def closed() -> UsageError:
    """Return the error for an engine that is asked for more after it was closed."""
    return UsageError("this engine is closed: load the checkpoint again")
