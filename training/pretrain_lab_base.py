"""Pre-train a base model of the lab: `python training/pretrain_lab_base.py --config base.yaml`.

A character tokenizer made offline and a Qwen3- or Llama-shaped model of about 0.1M parameters learn, in a minute or two
on one thread, to solve some of the lab's chains, unreliably. The result is an ordinary Hugging Face checkpoint. On one
thread the same config gives the same bytes.
"""

import argparse
import itertools
import math
import random
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

import torch
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast, Qwen3Config, Qwen3ForCausalLM
from transformers.utils import logging as transformers_logging

from quagpredict.errors import RecipeError
from quagpredict.files import digest
from quagpredict.lab import CHARACTERS, Mixture, Problem
from quagpredict.lab.chains import draw_problems
from quagpredict.plans.keys import known_keys_only
from quagpredict.plans.reading import read_yaml
from quagpredict.program import run_program, write_record

ARCHITECTURES = {"qwen3": (Qwen3Config, Qwen3ForCausalLM), "llama": (LlamaConfig, LlamaForCausalLM)}
MAX_TOKENS = 128


@dataclass(frozen=True)
class BaseConfig:
    """Everything that fixes a base model."""

    output_dir: str
    lab_data: dict[str, Any]
    seed: int = 0
    steps: int = 900
    architecture: str = "qwen3"
    hidden_size: int = 64
    num_hidden_layers: int = 2
    num_attention_heads: int = 4
    intermediate_size: int = 192
    learning_rate: float = 3e-3
    weight_decay: float = 0.05
    warmup_steps: int = 100
    documents_per_step: int = field(default=64)


def main(arguments: list[str]) -> None:
    """Read the config, train, save."""
    started = time.perf_counter()
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--config", required=True, help="YAML file with the keys of BaseConfig")
    config = parse_config(parser.parse_args(arguments).config)
    transformers_logging.set_verbosity_error()
    transformers_logging.disable_progress_bar()

    torch.manual_seed(config.seed)
    tokenizer = make_tokenizer()
    model = make_model(config, tokenizer)
    final_loss = train(model, tokenizer, config)

    Path(config.output_dir).mkdir(parents=True, exist_ok=True)
    model.save_pretrained(config.output_dir)
    tokenizer.save_pretrained(config.output_dir)
    write_record(
        config.output_dir,
        program="training/pretrain_lab_base.py",
        started=started,
        results={"final_train_loss_nats": round(final_loss, 6), "parameters": model.num_parameters()},
        inputs={"config": digest({k: v for k, v in asdict(config).items() if k != "output_dir"})},
    )


def parse_config(path: str) -> BaseConfig:
    """Read the YAML and refuse unknown or missing keys."""
    given = read_yaml(path)
    known_keys_only(given, [entry.name for entry in fields(BaseConfig)], path)
    for key in ("output_dir", "lab_data"):
        if key not in given:
            raise RecipeError(f"{path}: the key '{key}' is missing")
    config = BaseConfig(**given)
    if config.architecture not in ARCHITECTURES:
        raise RecipeError(
            f"{path}: architecture must be one of {', '.join(ARCHITECTURES)}, got {config.architecture!r}"
        )
    return config


def make_tokenizer() -> PreTrainedTokenizerFast:
    """Make a tokenizer with one token a character; its end token is not its padding, so that it can be learned."""
    special = ["<pad>", "<eos>", "<bos>", "<unk>"]
    vocabulary = {token: index for index, token in enumerate([*special, *CHARACTERS])}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex("."), "isolated")
    tokenizer.decoder = decoders.Fuse()
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token="<pad>",
        eos_token="<eos>",
        bos_token="<bos>",
        unk_token="<unk>",
        padding_side="left",
        model_max_length=MAX_TOKENS,
        clean_up_tokenization_spaces=False,
    )


def make_model(config: BaseConfig, tokenizer: PreTrainedTokenizerFast) -> Any:
    """Make an untrained model; its token ids for padding, start and end are the tokenizer's."""
    config_class, model_class = ARCHITECTURES[config.architecture]
    return model_class(
        config_class(
            vocab_size=len(tokenizer),
            hidden_size=config.hidden_size,
            num_hidden_layers=config.num_hidden_layers,
            num_attention_heads=config.num_attention_heads,
            num_key_value_heads=config.num_attention_heads,
            head_dim=config.hidden_size // config.num_attention_heads,
            intermediate_size=config.intermediate_size,
            max_position_embeddings=MAX_TOKENS,
            tie_word_embeddings=True,
            pad_token_id=tokenizer.pad_token_id,
            bos_token_id=tokenizer.bos_token_id,
            eos_token_id=tokenizer.eos_token_id,
        )
    )


def train(model: Any, tokenizer: PreTrainedTokenizerFast, config: BaseConfig) -> float:
    """Train on an endless stream of documents, loss on the completion only; return the last 50 steps' mean loss."""
    optimizer = torch.optim.AdamW(
        model.parameters(), lr=config.learning_rate, betas=(0.9, 0.98), weight_decay=config.weight_decay, fused=True
    )

    def rate(step: int) -> float:
        cosine = 0.1 + 0.45 * (1 + math.cos(math.pi * min(step / config.steps, 1)))
        return min((step + 1) / config.warmup_steps, cosine)

    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, rate)
    documents = stream(Mixture.from_mapping(config.lab_data), config.seed)
    losses = []
    model.train()
    for _ in range(config.steps):
        batch = sorted(itertools.islice(documents, config.documents_per_step), key=document_length)
        middle = len(batch) // 2
        total, count = 0.0, 0
        # Two halves of similar length waste less on padding than one batch.
        for half in (batch[:middle], batch[middle:]):
            tokens, labels = encode(half, tokenizer)
            logits = model(tokens, use_cache=False).logits[:, :-1]
            loss_sum = torch.nn.functional.cross_entropy(
                logits.reshape(-1, logits.size(-1)), labels[:, 1:].reshape(-1), ignore_index=-100, reduction="sum"
            )
            supervised = int((labels[:, 1:] != -100).sum())
            (loss_sum / supervised / 2).backward()
            total, count = total + loss_sum.item(), count + supervised
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        schedule.step()
        losses.append(total / count)
    return sum(losses[-50:]) / len(losses[-50:])


def stream(mixture: Mixture, seed: int) -> Iterator[Problem]:
    """Yield training problems without end, each from a source drawn by its share."""
    streams = [
        draw_problems(source.spec, "train", random.Random(f"{seed}/base/{position}"))
        for position, source in enumerate(mixture.sources)
    ]
    shares = [source.share for source in mixture.sources]
    rng = random.Random(f"{seed}/base/mix")
    while True:
        yield next(rng.choices(streams, shares)[0])


def document_length(problem: Problem) -> int:
    """Return the number of characters of prompt and completion."""
    return len(problem.prompt) + len(problem.completion)


def encode(problems: list[Problem], tokenizer: PreTrainedTokenizerFast) -> tuple[torch.Tensor, torch.Tensor]:
    """Return padded token ids and labels, both (problems, longest); prompts and padding carry no loss."""
    rows = [tokenizer.convert_tokens_to_ids(list(problem.prompt + problem.completion)) for problem in problems]
    longest = max(map(len, rows)) + 1
    tokens = torch.full((len(rows), longest), tokenizer.pad_token_id)
    labels = torch.full((len(rows), longest), -100)
    for index, (problem, row) in enumerate(zip(problems, rows, strict=True)):
        ids = torch.tensor([*row, tokenizer.eos_token_id])
        tokens[index, : len(ids)] = ids
        labels[index, len(problem.prompt) : len(ids)] = ids[len(problem.prompt) :]
    return tokens, labels


if __name__ == "__main__":
    raise SystemExit(run_program(main))
