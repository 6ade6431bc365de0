"""What `data download` and `data verify` say."""

from collections.abc import Sequence
from pathlib import Path

from avscene.cli.output.files import printable
from avscene.cli.progress import byte_bar
from avscene.datasets.tau import archives
from avscene.datasets.tau.archives import Archive, readable
from avscene.datasets.tau.download import download, free_space, plan
from avscene.datasets.tau.verify import FINE, Verification, verify

AT_MOST = 20  # lines of one kind; the rest are counted


def licence(dataset: str) -> str:
    """Under what terms a data set is published.

    Raises:
        UsageError: there is no such data set.
    """
    published = archives.collection(dataset)
    return f"{published.title}: for non-commercial use only; its licence: {published.page}"


def fetch(dataset: str, subset: str, directory: Path, *, source: str | None, discard: bool) -> None:
    """Fetch and unpack what is missing of a data set, and say of each archive that it is done.

    Raises:
        UsageError: there is no such data set or subset, or the source is refused.
        DataError: the disk is too small, or an archive cannot be had; what was finished stays.
    """
    made = plan(archives.collection(dataset), subset, directory, source=source, discard=discard)
    print(
        f"{directory}: {len(made.wanted)} archives, of which {len(made.wanted) - len(made.todo)} are unpacked already; "
        f"{readable(made.missing)} to fetch, {readable(free_space(directory))} free",
        flush=True,
    )

    def finished(archive: Archive, files: int) -> None:
        print(f"{archive.label}: verified and unpacked, {files} files", flush=True)

    with byte_bar() as progress:
        download(made, progress, finished)
    follow = f"avscene classify {directory}" if subset == "examples" else f"avscene data verify {directory}"
    print(f"{directory}: {subset} of {dataset} is there; next: {follow}")


def verified(directory: Path) -> tuple[str, bool]:
    """What is wrong with a data set, as text, and whether nothing is.

    Raises:
        DataError: there is none.
    """
    with byte_bar() as progress:
        found = verify(directory, progress)
    return _rendered(directory, found), found.is_whole


def _rendered(directory: Path, found: Verification) -> str:
    width = max((len(one.name) for one in found.archives), default=0)
    lines = [f"  {one.name.ljust(width)}  {one.state.ljust(10)}  {one.note}".rstrip() for one in found.archives]
    if found.not_fetched:
        lines.append(f"  not fetched: {', '.join(found.not_fetched)}")
    lines += _shortened([f"  {name}: {problem}" for name, problem in found.problems.items()])
    lines += [f"  {line}" for line in found.deviations]
    if found.is_whole:
        lines.append(f"{directory}: nothing is missing or damaged ({found.files} files)")
    else:
        bad = sum(one.state not in FINE for one in found.archives)
        lines.append(
            f"{directory}: is not whole: {bad} of {len(found.archives)} archives and {len(found.problems)} of "
            f"{found.files} files are missing or damaged"
        )
        if found.archives:
            dataset = archives.owner(found.archives[0].name)
            lines.append(f"  delete what is damaged, then run: avscene data download {dataset} --output {directory}")
    return "\n".join(printable(line) for line in lines)


def _shortened(lines: Sequence[str]) -> list[str]:
    more = len(lines) - AT_MOST
    return [*lines[:AT_MOST], f"  ... and {more} more"] if more > 0 else list(lines)
