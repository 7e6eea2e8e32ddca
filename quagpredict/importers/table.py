"""The table of formats: a new one is a module with ``recognises`` and ``read``, a line here, and the contract tests.

The first that recognises a file reads it, so that what any table looks like comes last.
"""

#: Format -> module that reads it; imported when a file is to be read.
READERS = {
    "lm-eval": "quagpredict.importers.lm_eval",
    "lighteval": "quagpredict.importers.lighteval",
    "inspect": "quagpredict.importers.inspect_log",
    "nemo-skills": "quagpredict.importers.nemo_skills",
    "qwen-math": "quagpredict.importers.qwen_math",
    "human-eval": "quagpredict.importers.human_eval",
    "evalplus": "quagpredict.importers.evalplus",
    "trl": "quagpredict.importers.trl",
    "verl": "quagpredict.importers.verl",
    "verifiers": "quagpredict.importers.verifiers",
    "nemo-rl": "quagpredict.importers.nemo_rl",
    "counts": "quagpredict.importers.counts",
    "samples": "quagpredict.importers.samples",
}
