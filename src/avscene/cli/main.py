"""Run the command line: parse arguments, run a command, turn errors into one line and an exit code.

Commands import heavy libraries when they run, so that `avscene --help` is fast.
"""

import logging
import os
import sys
from typing import Annotated, Any

import typer

from avscene import __version__
from avscene.cli.commands.classify import classify
from avscene.cli.commands.cross_validate import cross_validate
from avscene.cli.commands.data import download, toytown, verify
from avscene.cli.commands.demo import demo
from avscene.cli.commands.doctor import doctor
from avscene.cli.commands.embed import embed
from avscene.cli.commands.evaluate import evaluate
from avscene.cli.commands.fuse import fuse
from avscene.cli.commands.mismatch import mismatch
from avscene.cli.commands.predict import predict
from avscene.cli.commands.prepare import prepare
from avscene.cli.commands.push import push
from avscene.cli.commands.reproduce import reproduce
from avscene.cli.commands.serve import serve
from avscene.cli.commands.submit import submit
from avscene.cli.commands.systems import systems
from avscene.cli.commands.train import train
from avscene.cli.help import Command, CommandGroup, RepeatedFitCommand, usage_message, with_verbosity
from avscene.cli.messages import InterruptionError, log_traceback, messages_on_stderr, set_verbosity
from avscene.cli.signals import signals_interrupt
from avscene.cli.streams import StandardOutputError, abandon_output, make_streams_usable
from avscene.cores import affinity_cores, usable_cores
from avscene.errors import AvsceneError, WeightsError

# Threads of torch otherwise wait for each other in busy loops: on two busy cores a training step took eight times as
# long. The variable is read when torch is loaded.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
# It would also start a thread for each core of the machine where a container may use the time of a few.
if usable_cores() < affinity_cores():
    os.environ.setdefault("OMP_NUM_THREADS", str(usable_cores()))

logger = logging.getLogger(__name__)

INTERRUPTED = 130
UNFINISHED = "interrupted: what was not finished is not kept; run the same command again"
USAGE = 2
MISSING = WeightsError.exit_code

app = typer.Typer(
    help="Classify the scene of recordings from their audio and video.",
    cls=CommandGroup,
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
data_app = typer.Typer(
    help="Make, download and check data sets.", cls=CommandGroup, no_args_is_help=True, rich_markup_mode=None
)
app.add_typer(data_app, name="data")

COMMANDS = (
    classify,
    demo,
    systems,
    doctor,
    prepare,
    embed,
    train,
    cross_validate,
    reproduce,
    predict,
    evaluate,
    fuse,
    mismatch,
    submit,
    push,
    serve,
)
DATA_COMMANDS = (toytown, download, verify)

for command in COMMANDS:
    app.command(cls=RepeatedFitCommand if command is fuse else Command)(with_verbosity(command))
for data_command in DATA_COMMANDS:
    data_app.command(cls=Command)(with_verbosity(data_command))


def _show_version(wanted: bool) -> None:
    if wanted:
        print(f"avscene {__version__}")
        raise typer.Exit


@app.callback()
def program(
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Show only warnings and errors.")] = False,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Show more messages.")] = False,
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """Set what all commands print."""
    del version  # its callback has ended the program
    set_verbosity(quiet=quiet, verbose=verbose)


def main() -> None:
    """Run the command line and exit with its exit code; an error is one line on standard error."""
    make_streams_usable()
    with messages_on_stderr(), signals_interrupt():
        try:
            code = _run()
        except KeyboardInterrupt:  # a second one, while the first ended the command
            code = INTERRUPTED
    sys.exit(code)


def _run() -> int:
    code: Any
    try:
        code = app(prog_name="avscene", standalone_mode=False)
        sys.stdout.flush()  # otherwise a full disk is met after all error handling
    except StandardOutputError as error:
        abandon_output()
        logger.error(str(error))
        code = error.exit_code
    except AvsceneError as error:
        logger.error(str(error))
        log_traceback(error)
        code = error.exit_code
    except InterruptionError as error:
        logger.error(f"interrupted: {error}")
        return INTERRUPTED
    except (typer.Abort, KeyboardInterrupt):
        code = INTERRUPTED
    except ModuleNotFoundError as error:
        logger.error(f"package {error.name} is not installed; run: avscene doctor")
        code = MISSING
    except BrokenPipeError:
        abandon_output()  # its reader has ended
        code = 1
    except Exception as error:  # noqa: BLE001  # users see no tracebacks
        code = _unexpected(error)
    if code == INTERRUPTED:  # typer, too, turns an interruption into this code
        logger.error(UNFINISHED)
    return code if isinstance(code, int) else 0


def _unexpected(error: Exception) -> int:
    format_message = getattr(error, "format_message", None)  # of typer: an argument that cannot be parsed
    if format_message is None:
        logger.error(f"internal error, please report it: {type(error).__name__}: {error}; try: the option --verbose")
        log_traceback(error)
        return 1
    if type(error).__name__ == "NoArgsIsHelpError":
        print(format_message(), file=sys.stderr)
    else:
        logger.error(usage_message(error))
    return USAGE
