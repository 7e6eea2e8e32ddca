"""The completion scripts, by the shells that read them."""

import subprocess
from pathlib import Path

import pytest

from quagpredict.cli import COMMANDS, main


@pytest.fixture(scope="module")
def script(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from contextlib import redirect_stdout
    from io import StringIO

    said = StringIO()
    with redirect_stdout(said):
        assert main(["completion", "bash"]) == 0
    path = tmp_path_factory.mktemp("completion") / "quagpredict.bash"
    path.write_text(said.getvalue())
    return path


def completed(script: Path, folder: Path, *words: str) -> set[str]:
    line = " ".join(f"'{word}'" for word in ("quagpredict", *words))
    code = f"source {script}; COMP_WORDS=({line}); COMP_CWORD={len(words)}; COMPREPLY=()\n"
    code += f"_shtab_quagpredict quagpredict '{words[-1]}' ''; printf '%s\\n' \"${{COMPREPLY[@]}}\""
    done = subprocess.run(["bash", "-c", code], cwd=folder, capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def test_commands_options_choices_and_files_are_completed(script: Path, tmp_path: Path) -> None:
    (tmp_path / "mine.csv").touch()
    assert completed(script, tmp_path, "ra") == {"race", "rank"}
    assert completed(script, tmp_path, "rank", "--bud") == {"--budget"}
    assert completed(script, tmp_path, "rank", "--format", "") >= {"csv", "json", "table"}
    assert "mine.csv" in completed(script, tmp_path, "rank", "--candidates", "")


@pytest.mark.parametrize("shell", ["zsh", "tcsh"])
def test_every_command_is_in_the_script_of_other_shells(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["completion", shell]) == 0
    said = capsys.readouterr().out
    assert all(name in said for name in COMMANDS)


def test_an_unknown_shell_is_a_wrong_call(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["completion", "fish"]) == 2
    assert "invalid choice: 'fish'" in capsys.readouterr().err


def test_a_plan_is_completed(script: Path, tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").touch()
    assert "mine.yaml" in completed(script, tmp_path, "collect", "")
