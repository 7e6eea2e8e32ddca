"""Stand-ins: SFT leaves a checkpoint half way and waits to be let on, RL runs wait for each other.

The rest is stand_in.py's.
"""

import json
import os
import runpy
import sys
import time
from pathlib import Path

import yaml

if __name__ == "__main__":
    config = yaml.safe_load(Path(sys.argv[sys.argv.index("--config") + 1]).read_text())
    if "unique_examples" in config:
        folder = Path(config["output_dir"])
        half = folder / "checkpoint-5"
        half.mkdir()
        (half / "model.safetensors").write_text("half")
        (half / "trainer_state.json").write_text(json.dumps({"global_step": 5, "max_steps": 10}))
        Path(config["pid_file"]).write_text(str(os.getpid()))
        while not Path(config["go_on"]).exists():
            time.sleep(0.05)
    if "meet" in config:
        meeting = Path(config["meet"])
        (meeting / str(os.getpid())).touch()
        until = time.monotonic() + 30
        while len(list(meeting.iterdir())) < 2:
            if time.monotonic() > until:
                sys.exit("nobody came")
            time.sleep(0.05)
    runpy.run_path(str(Path(__file__).parents[1] / "collection" / "stand_in.py"), run_name="__main__")
