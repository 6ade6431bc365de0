"""The command line: its commands, and the one place where errors become a line and an exit code.

Nothing heavy is imported before a command runs: `avscene --help` answers at once.
"""

import os
import sys

import typer

from avscene.cli.commands import data, judge, learn, use
from avscene.cli.options import RepeatedFit, tell
from avscene.errors import AvsceneError, WeightsError

# Threads of torch that wait for each other by spinning take the processor from whatever else runs: on two busy cores a
# training step took eight times as long. Read when torch is loaded.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

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
    try:
        code = app(prog_name="avscene", standalone_mode=False)
    except AvsceneError as error:
        tell(str(error))
        code = error.exit_code
    except (typer.Abort, KeyboardInterrupt):
        code = INTERRUPTED
    except ModuleNotFoundError as error:
        tell(f"package {error.name} is not installed; run: avscene doctor")
        code = MISSING
    except BrokenPipeError:
        sys.stderr.close()  # the reader has left; there is nobody to tell
        code = 1
    except Exception as error:  # noqa: BLE001  # the last door: no traceback ever reaches a user
        code = _unexpected(error)
    if code == INTERRUPTED:
        tell("interrupted; what was finished is kept")
    sys.exit(code if isinstance(code, int) else 0)


def _unexpected(error: Exception) -> int:
    told = getattr(error, "format_message", None)  # typer's own: an option or argument that cannot be parsed
    if told is None:
        tell(f"internal error, please report it: {type(error).__name__}: {error}")
        return 1
    if type(error).__name__ == "NoArgsIsHelpError":
        print(told(), file=sys.stderr)
    else:
        tell(f"{told()}; see avscene --help")
    return USAGE
