"""List objects in pages, so that memory does not grow with their number."""

from collections.abc import Iterator
from functools import partial
from typing import Any

from avscene.errors import StorageError
from avscene.storage.connections import file_system, wait_for
from avscene.storage.retrying import retry
from avscene.storage.urls import WEB_SCHEMES, scheme_of, shown

PAGE = 1000  # objects: the most that S3 lists at a time
Page = tuple[list[str], Any]  # names, and where the next page begins; None after the last one


def list_objects(folder: str) -> Iterator[str]:
    """Yield the URLs of the objects below a URL that ends with `/`, in the order of their names.

    Hidden names are left out, as those of files in folders are: those with a part that begins with a period.

    Raises:
        StorageError: the objects cannot be listed; those of a web server never can.
        PackageError: the package for this scheme is not installed.
    """
    if scheme_of(folder) in WEB_SCHEMES:
        raise StorageError(f"{shown(folder)}: files on a web server cannot be listed; name them in a .txt list")
    system = file_system(folder)
    place, _, prefix = folder.partition("://")[2].partition("/")
    root = folder[: len(folder) - len(prefix)]
    read_page = {"s3": _s3_page, "gs": _gs_page, "az": _az_page}[scheme_of(folder)]
    token: Any = None
    while True:
        request = partial(_request, system, partial(read_page, system, place, prefix, token))
        names, token = retry(folder, request, lambda: False, lambda: 0)
        for name in names:
            if not name.endswith("/") and not any(part.startswith(".") for part in name[len(prefix) :].split("/")):
                yield root + name
        if token is None:
            return


def find_matches(pattern: str) -> Iterator[str]:
    """Yield the URLs of the objects that match a pattern; `*` stands within a part of a name, `**` for any parts.

    Raises:
        StorageError: the objects cannot be listed.
        PackageError: the package for this scheme is not installed.
    """
    import re

    from fsspec.utils import glob_translate

    before = pattern[: next(at for at, character in enumerate(pattern) if character in "*?[")]
    place, _, names = pattern.partition("://")[2].partition("/")
    folder = before.rpartition("/")[0] + "/"
    try:
        matches = re.compile(glob_translate(f"{place}/{names}")).match
    except (ValueError, re.error):
        raise StorageError(f"{shown(pattern)}: is not a pattern of names") from None
    return (url for url in list_objects(folder) if matches(url.partition("://")[2]))


def _request(system: Any, request: Any) -> Page:
    names, token = wait_for(system, request(), lambda: False)
    return names, token


async def _s3_page(system: Any, bucket: str, prefix: str, token: Any) -> Page:
    following = {"ContinuationToken": token} if token else {}
    page = await system._call_s3("list_objects_v2", Bucket=bucket, Prefix=prefix, MaxKeys=PAGE, **following)
    return [item["Key"] for item in page.get("Contents", ())], page.get("NextContinuationToken")


async def _gs_page(system: Any, bucket: str, prefix: str, token: Any) -> Page:
    following = {"pageToken": token} if token else {}
    page = await system._call("GET", "b/{}/o", bucket, json_out=True, prefix=prefix, maxResults=PAGE, **following)
    return [item["name"] for item in page.get("items", ())], page.get("nextPageToken")


async def _az_page(system: Any, container: str, prefix: str, token: Any) -> Page:
    async with system.service_client.get_container_client(container) as client:
        pages = client.list_blob_names(name_starts_with=prefix, results_per_page=PAGE).by_page(token)
        async for page in pages:
            return [name async for name in page], pages.continuation_token or None
    return [], None
