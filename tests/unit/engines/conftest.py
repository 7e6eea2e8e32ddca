"""A checkpoint that every engine can load, also vLLM on a CPU (which knows no heads of 16)."""

import pytest

SYMBOLS = "0123456789+-*=abcdef"
STEPS = 60


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory):
    """A model that has half learned single-digit sums: it is often right, often wrong, and ends most responses."""
    import torch
    from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast, Qwen3Config, Qwen3ForCausalLM

    special = ["<pad>", "<eos>", "<bos>"]
    tokenizer = Tokenizer(models.WordLevel({token: i for i, token in enumerate([*special, *SYMBOLS])}, "<pad>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex("."), "isolated")
    tokenizer.decoder = decoders.Fuse()
    tokenizer.post_processor = processors.TemplateProcessing("<bos> $A", special_tokens=[("<bos>", 2)])
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, pad_token="<pad>", eos_token="<eos>", bos_token="<bos>")
    torch.manual_seed(0)
    model = Qwen3ForCausalLM(
        Qwen3Config(
            vocab_size=len(fast),
            hidden_size=32,
            num_hidden_layers=2,
            num_attention_heads=2,
            num_key_value_heads=1,
            head_dim=32,
            intermediate_size=64,
            max_position_embeddings=64,
            tie_word_embeddings=False,
            pad_token_id=0,
            eos_token_id=1,
            bos_token_id=2,
        )
    )
    sums = [(f"{a}+{b}=", str(a + b)) for a in range(10) for b in range(10 - a)]
    asked = torch.tensor([[*fast(text)["input_ids"], fast.convert_tokens_to_ids(digit), 1] for text, digit in sums])
    labels = torch.cat([torch.full((len(sums), 5), -100), asked[:, 5:]], dim=1)
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    for _ in range(STEPS):
        optimizer.zero_grad()
        model(asked, labels=labels).loss.backward()
        optimizer.step()
    folder = tmp_path_factory.mktemp("checkpoint")
    model.save_pretrained(folder)
    fast.save_pretrained(folder)
    return folder
