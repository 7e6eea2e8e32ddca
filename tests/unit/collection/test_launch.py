import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from quagpredict.cli import main
from quagpredict.collection import carrying_out
from quagpredict.collection.launch import (
    Ended,
    Launcher,
    Resources,
    Setting,
    command_of,
    environment_of,
    launcher_of,
    resources_of,
)
from quagpredict.collection.local import LocalLauncher
from quagpredict.collection.stages import stages_of
from quagpredict.errors import StageError, UsageError
from quagpredict.plans.plan import Plan

NOTHING = Resources(None, None)
WritePlan = Callable[..., Path]
PROGRAM = """
import os, sys, subprocess, time
SEEN = globals().get("SEEN", 0) + 1
if __name__ == "__main__":
    what, *rest = sys.argv[1:]
    print("program", what, *rest, flush=True)
    if what == "exit":
        raise SystemExit(int(rest[0]))
    if what == "words":
        sys.exit("that was wrong")
    if what == "raise":
        raise ValueError("no good")
    if what == "signal":
        os.kill(os.getpid(), 15)
    if what == "where":
        print(sys.argv[0] == __file__, sys.path[0] == os.path.dirname(__file__), sys.stdin.read() == "")
    if what == "family":
        child = subprocess.Popen([sys.executable, "-c", "import os, time; os.setsid(); time.sleep(600)"])
        print("child", child.pid, flush=True)
        time.sleep(float(rest[0]))
    if what == "exitfunc":
        import atexit, threading
        atexit.register(print, "at the end")
        threading.Thread(target=lambda: (time.sleep(0.2), print("thread ended"))).start()
"""


@pytest.fixture
def program(tmp_path: Path) -> str:
    path = tmp_path / "program.py"
    path.write_text(PROGRAM)
    return str(path)


# What needs a service of its own is named by whoever has started that: `make help`.
HERE = os.environ.get("QUAGPREDICT_LAUNCHERS", "fork spawn").split()


@pytest.fixture(params=HERE)
def launcher(request: pytest.FixtureRequest, tmp_path: Path, program: str) -> Iterator[Launcher]:
    """Every launcher keeps the contract below."""
    one = launcher_of(request.param, Setting(os.environ, tmp_path, (program,)))
    yield one
    one.close()


def wait_for_end(launcher: Launcher) -> Ended:
    until = time.monotonic() + 60
    while time.monotonic() < until:
        ended = launcher.ended(1)
        if ended:
            return ended[0]
    raise AssertionError("it did not end")


def wait_until(true: Callable[[], bool]) -> None:
    until = time.monotonic() + 60
    while not true():
        assert time.monotonic() < until
        time.sleep(0.01)


def is_alive(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["exit", "0"], 0, ""),
        (["exit", "3"], 3, ""),
        (["words"], 1, "that was wrong"),
        (["raise"], 1, "ValueError: no good"),
        (["signal"], -15, ""),
        (["where"], 0, "True True True"),
        (["exitfunc"], 0, "thread ended\nat the end"),
    ],
)
def test_a_program_runs_with_its_words_its_log_and_its_exit_code(
    launcher: Launcher, program: str, tmp_path: Path, words: list[str], code: int, said: str
) -> None:
    log = tmp_path / "one.log"
    launcher.start("one", [sys.executable, program, *words], log, NOTHING)
    assert wait_for_end(launcher) == Ended("one", code)
    assert log.read_text().startswith(f"program {' '.join(words)}\n")
    assert said in log.read_text()


def test_programs_run_side_by_side(launcher: Launcher, program: str, tmp_path: Path) -> None:
    for number in range(4):
        command = [sys.executable, program, "exit", str(number)]
        launcher.start(str(number), command, tmp_path / f"{number}.log", NOTHING)
    ended: list[Ended] = []
    while len(ended) < 4:
        ended += launcher.ended(60)
    assert sorted(ended) == [Ended(str(number), number) for number in range(4)]


def test_a_program_that_ends_leaves_nothing_behind(launcher: Launcher, program: str, tmp_path: Path) -> None:
    log = tmp_path / "one.log"
    launcher.start("one", [sys.executable, program, "family", "0.2"], log, NOTHING)
    wait_for_end(launcher)
    left = int(log.read_text().split()[-1])
    wait_until(lambda: not is_alive(left))


def test_a_program_that_is_killed_takes_what_it_started_along(launcher: Launcher, program: str, tmp_path: Path) -> None:
    log = tmp_path / "one.log"
    launcher.start("one", [sys.executable, program, "family", "600"], log, NOTHING)
    wait_until(lambda: launcher.ended(0) == [] and log.exists() and "child" in log.read_text())
    launcher.kill("another")
    launcher.kill("one")
    assert wait_for_end(launcher) == Ended("one", -9)
    left = int(log.read_text().split()[-1])
    wait_until(lambda: not is_alive(left))


def test_closing_kills_children_and_their_children(launcher: Launcher, program: str, tmp_path: Path) -> None:
    log = tmp_path / "one.log"
    launcher.start("one", [sys.executable, program, "family", "600"], log, NOTHING)
    wait_until(lambda: launcher.ended(0) == [] and log.exists() and "child" in log.read_text())
    launcher.close()
    assert not is_alive(int(log.read_text().split()[-1]))


@pytest.mark.parametrize("mode", ["fork", "spawn"])
def test_a_program_sees_the_gpus_that_it_asked_for_and_waits_for_them(tmp_path: Path, mode: str) -> None:
    """Two GPUs, which nothing here touches: the number is all that the launcher needs to know."""
    seen, go = tmp_path / "seen.py", tmp_path / "go"
    seen.write_text(
        "import os, sys, time\n"
        "if __name__ == '__main__':\n"
        "    print(os.environ.get('CUDA_VISIBLE_DEVICES'), flush=True)\n"
        f"    while not os.path.exists({str(go)!r} + sys.argv[1]): time.sleep(0.01)\n"
    )
    setting = Setting({**os.environ, "CUDA_VISIBLE_DEVICES": "5,GPU-a,9"}, tmp_path, options={"gpus": 2})
    asked = {"half": 0.5, "other half": 0.5, "unsaid": None, "both": 2, "late": 0.5, "none": 0, "many": 3, "never": 2}
    launcher = launcher_of(mode, setting)
    try:
        for name, gpus in asked.items():
            command = [sys.executable, str(seen), name]
            launcher.start(name, command, tmp_path / f"{name}.log", Resources(None, gpus))
        assert wait_for_end(launcher) == Ended("many", 127)
        assert set(launcher.waiting()) == {"both", "late", "never"}
        launcher.kill("never")
        assert wait_for_end(launcher) == Ended("never", -9)
        for name in ("half", "other half", "none", "unsaid", "both", "late"):
            Path(f"{go}{name}").touch()
            assert wait_for_end(launcher) == Ended(name, 0)
        assert not launcher.waiting()
    finally:
        launcher.close()
    logs = {name: (tmp_path / f"{name}.log").read_text().strip() for name in asked if name != "never"}
    assert logs == {
        **{"half": "5", "other half": "5", "unsaid": "GPU-a", "both": "5,GPU-a", "late": "5", "none": ""},
        "many": "error: it asks for 3 GPUs, this machine has 2",
    }


def test_a_command_that_does_not_exist_fails_with_a_line(tmp_path: Path) -> None:
    launcher = launcher_of("spawn", Setting(os.environ, tmp_path))
    launcher.start("one", ["no-such-tool", "launch"], tmp_path / "one.log", NOTHING)
    assert wait_for_end(launcher) == Ended("one", 127)
    assert "error: no-such-tool: cannot be started: No such file" in (tmp_path / "one.log").read_text()
    launcher.close()


def test_a_supervisor_that_dies_is_noticed(tmp_path: Path) -> None:
    launcher = LocalLauncher(Setting(os.environ, tmp_path), fork=False)
    launcher.wait_until_ready()
    assert launcher._process is not None
    launcher._process.kill()
    with pytest.raises(StageError, match=r"the process that starts the stages has ended; see .*supervisor\.log"):
        wait_for_end(launcher)
    launcher.close()


def test_a_program_that_cannot_be_preloaded_does_not_stop_the_others(tmp_path: Path, program: str) -> None:
    broken = tmp_path / "broken.py"
    broken.write_text("import no_such_module")
    launcher = launcher_of("fork", Setting(os.environ, tmp_path, (str(broken), program)))
    launcher.start("one", [sys.executable, program, "exit", "0"], tmp_path / "one.log", NOTHING)
    assert wait_for_end(launcher).exit_code == 0
    launcher.close()
    assert "broken.py: not preloaded: ModuleNotFoundError" in (tmp_path / "supervisor.log").read_text()


def test_a_listening_server_serves_one_after_the_other_and_kills_what_each_leaves(tmp_path: Path, program: str) -> None:
    path = tmp_path / "socket"
    command = [sys.executable, "-P", "-m", "quagpredict.collection.supervisor", "--listen", str(path)]
    with subprocess.Popen(command) as server:
        try:
            wait_until(path.exists)
            for number in range(3):
                launcher = launcher_of("fork", Setting({}, tmp_path, server=path))
                log = tmp_path / f"{number}.log"
                launcher.start("one", [sys.executable, program, "family", "600"], log, NOTHING)
                wait_until(lambda log=log: log.exists() and "child" in log.read_text())  # type: ignore[misc]
                launcher.close()
                wait_until(lambda log=log: not is_alive(int(log.read_text().split()[-1])))  # type: ignore[misc]
        finally:
            server.kill()
    with pytest.raises(UsageError, match="no fork server listens there"):
        launcher_of("fork", Setting({}, tmp_path, server=path))


def test_programs_hold_what_they_must_inherit(tmp_path: Path, program: str) -> None:
    ours, theirs = socket.socketpair()
    launcher = launcher_of("spawn", Setting(os.environ, tmp_path, inherited=theirs.fileno()))
    log = tmp_path / "one.log"
    launcher.start("one", [sys.executable, program, "family", "600"], log, NOTHING)
    wait_until(lambda: log.exists() and "child" in log.read_text())
    theirs.close()
    ours.setblocking(False)
    with pytest.raises(BlockingIOError):
        ours.recv(1)  # somebody still holds the other end
    launcher.close()
    assert ours.recv(1) == b""
    ours.close()


def test_commands(write_plan: WritePlan, tmp_path: Path) -> None:
    accelerate = tmp_path / "zero3.yaml"
    accelerate.write_text("")
    plan = Plan.from_yaml(write_plan(launch={"mode": "spawn", "accelerate": {"sft": str(accelerate)}}))
    stages = {stage.kind: stage for stage in stages_of(plan)}
    stand_in = plan.programs["sft"]
    assert command_of(plan, stages["grpo"], "f.yaml") == [sys.executable, stand_in, "--config", "f.yaml"]
    command = command_of(plan, stages["sft"], "f.yaml")
    assert Path(command[0]).name == "accelerate"
    assert command[1:] == ["launch", "--config_file", str(accelerate), stand_in, "--config", "f.yaml"]


def test_the_environment_of_stages(write_plan: WritePlan, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    lab = environment_of(Plan.from_yaml(write_plan()))
    assert (lab["OMP_NUM_THREADS"], lab["HF_HUB_OFFLINE"], lab["TOKENIZERS_PARALLELISM"]) == ("1", "1", "false")
    bases = {"weak": {"family": "qwen3", "model_name_or_path": "a/b"}}
    hub = environment_of(Plan.from_yaml(write_plan(bases=bases, launch={})))
    assert "HF_HUB_OFFLINE" not in hub
    assert "OMP_NUM_THREADS" not in hub


def test_what_a_plan_says_of_resources_goes_first(write_plan: WritePlan) -> None:
    launch = {
        "threads": 2,
        "time_limits": {"sft": 60},
        "resources": {"sft": {"threads": 4, "gpus": 0.5, "memory_gib": 1.5}, "rl": {"gpus": 0}},
    }
    plan = Plan.from_yaml(write_plan(launch=launch))
    asked = {stage.kind: resources_of(plan, stage) for stage in stages_of(plan)}
    assert asked["sft"] == Resources(4, 0.5, 1.5, 60.0)
    assert asked["grpo"] == Resources(2, 0)
    assert asked["base"] == Resources(2, None)
    assert plan.plan_id == Plan.from_yaml(write_plan(launch={"threads": 2})).plan_id


def test_what_a_stage_asks_for(write_plan: WritePlan) -> None:
    plan = Plan.from_yaml("collectors/plans/paper-qwen3-4b.yaml")
    asked = {stage.kind: resources_of(plan, stage).gpus for stage in stages_of(plan)}
    assert asked == {"sft": 8, "evaluate-pre": 8, "grpo": 8, "evaluate-post": 8}
    small = Plan.from_yaml(write_plan())
    assert {resources_of(small, stage) for stage in stages_of(small)} == {Resources(1, None)}


@pytest.mark.usefixtures("inline")
def test_a_launcher_can_be_named_instead_of_the_plans(
    write_plan: WritePlan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    made, inline = [], carrying_out.launcher_of
    monkeypatch.setattr(carrying_out, "launcher_of", lambda mode, setting: made.append(mode) or inline(mode, setting))
    plan, work = write_plan(candidates=[{"base": "weak", "no_sft": True}]), tmp_path / "work"
    assert main(["collect", str(plan), "--out", str(work), "--launcher", "spawn"]) == 0
    assert made == ["spawn"]
    capsys.readouterr()
    assert main(["collect", str(plan), "--out", str(work), "--launcher", "thread"]) == 2
    assert capsys.readouterr().err.startswith("error: --launcher thread: expected one of fork, spawn")
