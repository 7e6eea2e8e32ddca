"""The vLLM engine: continuous batching on GPUs, or on a CPU to test the very same code.

vLLM runs in this process and is stepped from here, as its own `LLM.generate` does, so that samples come out as they
finish. A new `LLM` is made for every checkpoint: loading other weights into one gave wrong log-probabilities without
an error.
"""

import contextlib
import gc
import weakref
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from quagpredict.engines.contract import Request, Response, Sampling, sample_seed
from quagpredict.engines.loading import check_tensors
from quagpredict.engines.table import require_vllm
from quagpredict.engines.tokens import Tokens, cannot_be_loaded, closed
from quagpredict.errors import CheckpointError, QuagpredictError, RecipeError, UsageError

# Below the lowest vLLM draws at 0.01 and says so in a log line; above the highest it draws nothing.
_TEMPERATURES = (0.01, 2.0)
# vLLM's seeds are signed 64-bit numbers.
_SEED_MASK = 2**63 - 1

_opened: "weakref.ref[VLLMEngine] | None" = None


class VLLMEngine(Tokens):
    """A checkpoint loaded with vLLM.

    Every setting below is a matter of speed and memory; but for rounding, none changes a result.

    Parameters
    ----------
    checkpoint : path
        Folder with ``config.json``, weights and tokenizer.
    batch_size : int
        Most samples in flight at once (vLLM's ``max_num_seqs``).
    dtype : str
        Weights are loaded as this; ``"auto"`` takes the checkpoint's own. (vLLM's own "auto" would halve single
        precision.)
    gpu_memory_utilization : float
        Share of each GPU's memory that vLLM may take, for weights and cache.
    tensor_parallel_size : int
        GPUs that one copy of the model is split over.
    max_model_len : int, optional
        Most tokens of prompt and response together; the checkpoint's context by default. Lower it where the cache
        does not hold one sequence of full length.
    prefix_caching : bool
        Compute a prompt once for its samples.
    enforce_eager : bool, optional
        No CUDA graphs and no compilation. By default on a CPU only.

    Raises
    ------
    CheckpointError
        If the folder is not a checkpoint that vLLM can load with these settings.
    MissingExtraError
        If vLLM is not installed.
    UsageError
        If it is, and cannot run here, or another one is open in this process; the message says what to do.
    """

    name = "vllm"

    def __init__(
        self,
        checkpoint: str | Path,
        *,
        batch_size: int = 256,
        dtype: str = "auto",
        gpu_memory_utilization: float = 0.9,
        tensor_parallel_size: int = 1,
        max_model_len: int | None = None,
        prefix_caching: bool = True,
        enforce_eager: bool | None = None,
    ) -> None:
        global _opened
        super().__init__(checkpoint)
        installed = require_vllm()
        opened = _opened() if _opened is not None else None
        if opened is not None and opened._llm is not None:
            # The second would end the first: vLLM keeps its process groups in the module, and shuts them down with it.
            raise UsageError("one vLLM engine can be open in a process: close the other first, or use workers")
        check_tensors(checkpoint)
        self.version = installed.version
        self.batch_size = batch_size
        if max_model_len is not None:
            self.check_context(max_model_len)
            self.context = max_model_len
        on_cpu = installed.device_type == "cpu"
        self._llm: Any = None
        self._ours = not torch.distributed.is_initialized()
        from vllm import LLM

        try:
            self._llm = LLM(
                self.checkpoint,
                dtype=self._own_dtype() if dtype == "auto" else dtype,
                max_num_seqs=batch_size,
                max_model_len=self.context,
                tensor_parallel_size=tensor_parallel_size,
                gpu_memory_utilization=gpu_memory_utilization,
                enable_prefix_caching=prefix_caching,
                enforce_eager=on_cpu if enforce_eager is None else enforce_eager,
                use_tqdm_on_load=False,
                generation_config="vllm",  # the checkpoint's own sampling defaults stay out
                seed=0,
            )
            _opened = weakref.ref(self)
            # What a device cannot do shows at the first step, not at loading.
            (probe,) = self.completion_log_probs([((self.end_tokens[0],), (self.end_tokens[0],))])
            if not np.isfinite(probe).all():
                raise ValueError("its weights give NaN or infinity: training went astray there")
        except QuagpredictError:
            self.close()
            raise
        except Exception as error:  # what kernels, weights and vLLM's own checks raise has no common base
            self.close()
            raise cannot_be_loaded(checkpoint, error) from error

    def _own_dtype(self) -> str:
        config = self._config.get_text_config()
        kept = (
            getattr(config, "dtype", None) or getattr(self._config, "dtype", None) or _dtype_of_weights(self.checkpoint)
        )
        return str(kept).removeprefix("torch.")

    def close(self) -> None:
        """Free the model and its cache; see `quagpredict.engines.contract.Engine`."""
        from vllm.distributed.parallel_state import cleanup_dist_env_and_memory

        if self._llm is not None:
            self._llm.llm_engine.engine_core.shutdown()
        self._llm = None
        gc.collect()
        # What vLLM set up in this process goes too, unless somebody else had set it up before.
        if self._ours and torch.distributed.is_initialized():
            cleanup_dist_env_and_memory()

    def _engine(self) -> Any:
        if self._llm is None:
            raise closed()
        return self._llm.llm_engine

    def generate(self, requests: Sequence[Request], sampling: Sampling) -> Iterator[tuple[int, list[Response]]]:
        """Draw the samples of all requests; see `quagpredict.engines.contract.Engine`."""
        self.check_context(max((len(request.prompt) for request in requests), default=0) + sampling.max_new_tokens)
        if not _TEMPERATURES[0] <= sampling.temperature <= _TEMPERATURES[1]:
            raise RecipeError(
                f"sampling: vLLM draws at temperatures from {_TEMPERATURES[0]} to {_TEMPERATURES[1]}, got "
                f"{sampling.temperature}: change it, or use the engine 'transformers'"
            )
        drawn: dict[int, dict[int, Response]] = {}
        wanted = (
            (f"{position}/{index}", request.prompt, self._settings(sampling, sample_seed(request.key, index)))
            for position, request in enumerate(requests)
            for index in range(request.first, request.first + request.samples)
        )
        for name, output in self._finished(wanted):
            position, index = map(int, name.split("/"))
            request = requests[position]
            drawn.setdefault(position, {})[index] = self._response(output, sample_seed(request.key, index))
            if len(drawn[position]) == request.samples:
                responses = drawn.pop(position)
                yield position, [responses[index] for index in sorted(responses)]

    def _settings(self, sampling: Sampling, seed: int) -> Any:
        from vllm import SamplingParams

        # Everything that shapes the distribution is said, so that no default of vLLM or of the checkpoint counts.
        return SamplingParams(
            n=1,
            seed=seed & _SEED_MASK,
            temperature=sampling.temperature,
            top_p=sampling.top_p,
            top_k=sampling.top_k,
            min_p=0.0,
            presence_penalty=0.0,
            frequency_penalty=0.0,
            repetition_penalty=1.0,
            max_tokens=sampling.max_new_tokens,
            min_tokens=0,
            ignore_eos=True,  # the end tokens are ours, one list for all engines
            stop_token_ids=self.end_tokens,
            logprobs=0,
            detokenize=False,
            **_final_only(),
        )

    def _finished(self, wanted: Iterator[tuple[str, Sequence[int], Any]]) -> Iterator[tuple[str, Any]]:
        """Yield (name, vLLM's output) of each wanted (name, prompt, settings) as it finishes.

        Twice what runs at once is handed to vLLM, so that it always has the next at hand and never a million of them.
        """
        from vllm.inputs import tokens_input

        engine = self._engine()
        open_names: set[str] = set()
        exhausted = False
        try:
            while not exhausted or open_names:
                while not exhausted and len(open_names) < 2 * self.batch_size:
                    following = next(wanted, None)
                    if following is None:
                        exhausted = True
                        break
                    name, prompt, settings = following
                    engine.add_request(name, tokens_input(list(prompt)), settings)
                    open_names.add(name)
                for output in engine.step() if open_names else ():
                    if output.finished:
                        open_names.discard(output.request_id)
                        yield output.request_id, output
        finally:
            if open_names:  # the caller wants no more, or something failed
                with contextlib.suppress(Exception):
                    engine.abort_request(list(open_names))

    def _response(self, output: Any, seed: int) -> Response:
        only = output.outputs[0]
        tokens = tuple(only.token_ids)
        if only.finish_reason not in ("stop", "length"):
            raise QuagpredictError(f"vLLM ended a sample with '{only.finish_reason}', expected stop or length")
        ended = only.finish_reason == "stop"
        return Response(
            tokens[:-1] if ended else tokens,
            len(tokens),
            only.finish_reason,
            float(only.cumulative_logprob),
            None,  # the entropy needs the whole vocabulary of every step; vLLM gives the likeliest tokens
            seed,
        )

    def completion_log_probs(self, pairs: Sequence[tuple[Sequence[int], Sequence[int]]]) -> list[NDArray[np.float64]]:
        """Score given completions; see `quagpredict.engines.contract.Engine`."""
        from vllm import SamplingParams

        # vLLM draws at least one token: it takes room, and is thrown away.
        self.check_context(1 + max((len(prompt) + len(completion) for prompt, completion in pairs), default=0))
        settings = SamplingParams(
            temperature=1.0, seed=0, max_tokens=1, prompt_logprobs=0, detokenize=False, **_final_only()
        )
        scored: list[NDArray[np.float64]] = [np.empty(0)] * len(pairs)
        wanted = ((str(index), (*prompt, *completion), settings) for index, (prompt, completion) in enumerate(pairs))
        for name, output in self._finished(wanted):
            prompt, completion = pairs[int(name)]
            rows = output.prompt_logprobs[len(prompt) :]
            scored[int(name)] = np.array(
                [row[token].logprob for row, token in zip(rows, completion, strict=True)], dtype=np.float64
            )
        return scored


def _final_only() -> dict[str, Any]:
    """Return the setting by which vLLM reports a sample once, when it is whole."""
    from vllm.sampling_params import RequestOutputKind

    return {"output_kind": RequestOutputKind.FINAL_ONLY}


def _dtype_of_weights(checkpoint: str) -> str:
    """Return the type of the first floating-point tensor, as transformers takes it where the config names none."""
    from safetensors import safe_open

    for file in sorted(Path(checkpoint).glob("*.safetensors")):
        with safe_open(file, framework="pt") as tensors:
            for name in tensors.keys():  # noqa: SIM118
                dtype = tensors.get_slice(name).get_dtype()
                if dtype in (names := {"F32": "float32", "F16": "float16", "BF16": "bfloat16"}):
                    return names[dtype]
    raise CheckpointError(f"{checkpoint}: neither its config nor its weights name a type of numbers: give dtype")
