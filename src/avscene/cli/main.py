"""The command line: its commands, and the one place where errors become a line and an exit code.

Nothing heavy is imported before a command runs: `avscene --help` answers at once.
"""

import logging
import os
import sys
from typing import Any

import typer

from avscene.cli.commands import data, judge, learn, use
from avscene.cli.messages import messages_on_stderr
from avscene.cli.options import RepeatedFit
from avscene.errors import AvsceneError, WeightsError

# Threads of torch that wait for each other by spinning take the processor from whatever else runs: on two busy cores a
# training step took eight times as long. Read when torch is loaded.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

logger = logging.getLogger(__name__)

INTERRUPTED = 130
USAGE = 2
MISSING = WeightsError.exit_code

app = typer.Typer(
    help="Tell where a video was recorded from what it shows and how it sounds.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
data_app = typer.Typer(help="Make and fetch data sets.", no_args_is_help=True, rich_markup_mode=None)
app.add_typer(data_app, name="data")

COMMANDS = (
    use.classify,
    use.demo,
    use.systems,
    use.doctor,
    data.prepare,
    data.embed,
    learn.train,
    learn.reproduce,
    learn.predict,
    judge.evaluate,
    judge.fuse,
    judge.mismatch,
    judge.submit,
)
DATA_COMMANDS = (data.toytown, data.download, data.verify)

for command in COMMANDS:
    app.command(cls=RepeatedFit if command is judge.fuse else None)(command)
for data_command in DATA_COMMANDS:
    data_app.command()(data_command)


def main() -> None:
    """Run the command line and leave with its exit code; errors are one line on standard error."""
    with messages_on_stderr():
        code = _run()
    sys.exit(code)


def _run() -> int:
    code: Any
    try:
        code = app(prog_name="avscene", standalone_mode=False)
    except AvsceneError as error:
        logger.error(str(error))
        code = error.exit_code
    except (typer.Abort, KeyboardInterrupt):
        code = INTERRUPTED
    except ModuleNotFoundError as error:
        logger.error(f"package {error.name} is not installed; run: avscene doctor")
        code = MISSING
    except BrokenPipeError:
        sys.stderr.close()  # the reader has left; nobody reads messages either
        code = 1
    except Exception as error:  # noqa: BLE001  # the last door: no traceback ever reaches a user
        code = _unexpected(error)
    if code == INTERRUPTED:
        logger.error("interrupted; what was finished is kept")
    return code if isinstance(code, int) else 0


def _unexpected(error: Exception) -> int:
    told = getattr(error, "format_message", None)  # typer's own: an option or argument that cannot be parsed
    if told is None:
        logger.error(f"internal error, please report it: {type(error).__name__}: {error}")
        return 1
    if type(error).__name__ == "NoArgsIsHelpError":
        print(told(), file=sys.stderr)
    else:
        logger.error(f"{told()}; see avscene --help")
    return USAGE
