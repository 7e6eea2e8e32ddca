"""What the library says of its arguments, in the words of the command line.

An error or a note of the library names an argument as Python writes it: ``gate="nobody"``, ``next_run=True``,
`` `against` ``; and a function as `` `quagpredict.fit` ``. On the command line these are ``--gate nobody``, ``--next``,
``--against`` and `` `quagpredict fit` ``. The options are read from the command's parser, so that no message is
written twice and none can name an option that is not there.
"""

import re
from collections.abc import Mapping
from importlib import import_module

from quagpredict.cli import COMMANDS, build_parser, module_of

_ARGUMENT = re.compile(
    r"""(?<![\w/.=-])(?P<name>[a-z_]+)=(?P<value>"[^"]*"|'[^']*'|\[[^\]]*\]|-?\w+(?:[.%+-]\w+)*)""", re.ASCII
)
_NAME = re.compile(r"`(?P<name>[a-z_]+)`", re.ASCII)
_FUNCTION = re.compile(r"`quagpredict\.(?P<name>[a-z_]+)`", re.ASCII)
# Functions that a command does not have the name of.
_COMMAND_OF = {
    "import_run": "import",
    "score_checkpoint": "evaluate",
    "write_hub_folder": "hub",
    "write_report": "report",
    "sensitivity": "validate --sensitivity",
}


def options_of(command: str) -> dict[str, str]:
    """Return the option of each argument of a command: ``top_m`` -> ``--top-m``, ``next_run=True`` -> ``--next``.

    Most arguments have the name of their option. The others stand in ``PARAMETERS`` of the command's module: name in
    Python, or name and value, -> name of the option.

    Examples
    --------
    >>> options = options_of("rank")
    >>> options["top_m"], options["next_run=True"], options["condition=False"]
    ('--top-m', '--next', '--no-condition')
    """
    (choices,) = (action.choices for action in build_parser(command)._actions if isinstance(action.choices, dict))
    options, flags = {}, set()
    for action in choices[command]._actions:
        if action.option_strings:
            options[action.dest] = action.option_strings[-1]
            flags |= {action.dest} if action.nargs == 0 else set()
    parameters: Mapping[str, str] = getattr(import_module(module_of(command)), "PARAMETERS", {})
    flags |= {name for name, dest in parameters.items() if dest in flags and "=" not in name}
    options |= {name: options[dest] for name, dest in parameters.items()}
    return options | {f"{name}=True": options[name] for name in flags}


def on_the_command_line(text: str, command: str) -> str:
    """Return a message of the library as the command says it; what names nothing of the command stays as it is.

    Examples
    --------
    >>> on_the_command_line('gate="nobody": expected a score', "rank")
    '--gate nobody: expected a score'
    >>> on_the_command_line("pass condition=False, or fit one (`quagpredict.fit`)", "rank")
    'pass --no-condition, or fit one (`quagpredict fit`)'
    """
    if command not in COMMANDS:
        return text
    options = options_of(command)

    def argument(match: re.Match[str]) -> str:
        name, value = match["name"], match["value"]
        if f"{name}={value}" in options:
            return options[f"{name}={value}"]
        words = value.strip("[]").replace(", ", " ").replace('"', "").replace("'", "")
        return f"{options[name]} {words}" if name in options else match[0]

    def function(match: re.Match[str]) -> str:
        named = _COMMAND_OF.get(match["name"], match["name"])
        return f"`quagpredict {named}`" if named.split()[0] in COMMANDS else match[0]

    text = _FUNCTION.sub(function, _ARGUMENT.sub(argument, text))
    return _NAME.sub(lambda match: options.get(match["name"], match[0]), text)
