"""Format help and usage errors in one style: commands in groups, examples, the command whose help explains more."""

import inspect
from collections.abc import Callable, Iterable, Iterator
from functools import wraps
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup

from avscene.cli.examples import EXAMPLES, GROUPS
from avscene.cli.messages import set_verbosity
from avscene.errors import UsageError, did_you_mean

PROGRAM = "avscene"
OTHER = "Other commands"

Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Show only warnings and errors, and no progress.")]
Verbose = Annotated[bool, typer.Option("--verbose", "-v", help="Show more messages, and where an error arose.")]


class Command(TyperCommand):
    """A command whose help ends with its examples, and whose usage errors name its help."""

    def format_epilog(self, ctx: Any, formatter: Any) -> None:
        """Write the examples."""
        with formatter.section("Examples"):
            for line in EXAMPLES.get(_name(ctx.command_path), ()):
                formatter.write(f"  {line}\n")

    def invoke(self, ctx: Any) -> Any:
        """Run the command.

        Raises:
            UsageError: an option or argument is wrong; the message names the help of the command.
        """
        for parameter in self.params:
            _refuse_url(parameter, ctx.params.get(parameter.name))
        try:
            return super().invoke(ctx)
        except UsageError as error:
            if str(error).startswith("--") and "try: " not in str(error):
                raise UsageError(with_help(str(error), ctx.command_path)) from error
            raise


class RepeatedFitCommand(Command):
    """A command that reads `--fit A B C` as `--fit A --fit B --fit C`."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse the arguments after repeating `--fit` before each of its values."""
        return super().parse_args(ctx, list(_repeat_option(args, "--fit")))


class CommandGroup(TyperGroup):
    """A group whose help lists its commands under headings, each with what it does and an example."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Find the command that is named.

        Raises:
            UsageError: there is none; the message names a similar one.
        """
        if args and args[0] not in self.commands and not args[0].startswith("-"):
            problem = f"{args[0]!r}: no such command{did_you_mean(args[0], self.commands)}"
            raise UsageError(with_help(problem, ctx.command_path))
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """Write the commands under their headings."""
        named = {name for names in GROUPS.values() for name in names}
        is_top = _name(ctx.command_path) == ""
        groups = dict(GROUPS) if is_top else {"Commands": tuple(self.commands)}
        if is_top and (others := tuple(name for name in self.commands if name not in named)):
            groups[OTHER] = others
        width = max(map(len, self.commands)) + 2
        for heading, names in groups.items():
            with formatter.section(heading):
                for name in filter(self.commands.__contains__, names):
                    formatter.write_dl([(name.ljust(width - 2), _purpose(self.commands[name]))])
                    example = _example(f"{_name(ctx.command_path)} {name}".strip())
                    if example:
                        formatter.write(f"{'':>{width + 2}}$ {example}\n")


def with_verbosity(command: Callable[..., None]) -> Callable[..., None]:
    """Return the command with the options `--quiet` and `--verbose`."""

    @wraps(command)
    def run(*arguments: Any, quiet: bool, verbose: bool, **options: Any) -> None:
        set_verbosity(quiet=quiet, verbose=verbose)
        command(*arguments, **options)

    signature = inspect.signature(command)
    added = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=False, annotation=annotation)
        for name, annotation in (("quiet", Quiet), ("verbose", Verbose))
    ]
    run.__signature__ = signature.replace(parameters=[*signature.parameters.values(), *added])  # type: ignore[attr-defined]
    run.__annotations__ = {**command.__annotations__, "quiet": Quiet, "verbose": Verbose}
    return run


def usage_message(error: Any) -> str:
    """Return the message of an error that typer raised: what is wrong with the command line, and whose help to read."""
    kind, context = type(error).__name__, getattr(error, "ctx", None)
    hint = getattr(error, "param_hint", None) or (
        error.param.get_error_hint() if getattr(error, "param", None) is not None else None
    )
    problem = str(error.format_message()).rstrip(".")
    if kind == "NoSuchOption":
        known = [option for parameter in context.command.params for option in parameter.opts] if context else []
        problem = f"{error.option_name}: no such option{did_you_mean(error.option_name, known)}"
    elif kind == "MissingParameter" and hint:
        problem = f"{_plain(hint)}: is missing"
    elif kind == "BadParameter" and hint:
        problem = f"{_plain(hint)}: {str(error.message).rstrip('.')}"
    return with_help(problem, context.command_path if context else PROGRAM)


def with_help(problem: str, command: str) -> str:
    """Return a message that names the help of a command."""
    return f"{problem}{'' if problem.endswith('?') else ';'} try: {command} --help"


def _plain(hint: Any) -> str:
    texts = [hint] if isinstance(hint, str) else hint
    return " / ".join(text.strip("'") for text in texts)


def _name(command_path: str) -> str:
    """Return a command as it is typed after the program."""
    return command_path.partition(" ")[2]


def _purpose(command: Any) -> str:
    """Return what a command does: the first paragraph of its help, whole."""
    return " ".join((command.help or "").split("\n\n")[0].split())


def _example(name: str) -> str | None:
    found = [lines for command, lines in EXAMPLES.items() if command == name or command.startswith(f"{name} ")]
    return found[0][0] if found else None


def _refuse_url(parameter: Any, value: Any) -> None:
    """Raise UsageError if a file or directory was given as a URL: a path drops one of its slashes."""
    from avscene.storage.urls import REMOTE_SCHEMES

    for path in _paths(value):
        scheme, _, rest = str(path).partition(":/")
        if rest and scheme.lower() in REMOTE_SCHEMES:
            raise UsageError(
                f"{_plain(parameter.get_error_hint())} {scheme}://{rest}: URLs are not accepted here; "
                "try: a path on this machine"
            )


def _paths(value: Any) -> Iterator[Path]:
    if isinstance(value, Path):
        yield value
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _paths(item)


def _repeat_option(arguments: Iterable[str], option: str) -> Iterator[str]:
    values = None  # of the option so far; None outside of it
    for argument in arguments:
        if argument.startswith("-"):
            values = 0 if argument == option else None
        elif values is not None:
            values += 1
            if values > 1:
                yield option
        yield argument
