"""Write files to object storage: each object appears complete or not at all."""

import os
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from avscene.errors import UsageError
from avscene.storage.connections import file_system, wait_for
from avscene.storage.retrying import retry
from avscene.storage.urls import WEB_SCHEMES, scheme_of, shown


def check_writable(url: str) -> None:
    """Check that an object can be written, by an upload that is begun and given up; nothing of it is visible.

    Raises:
        UsageError: the URL is that of a folder or a web server.
        StorageError: the object cannot be written.
        PackageError: the package for this scheme is not installed.
    """
    scheme = scheme_of(url)
    if scheme in WEB_SCHEMES:
        raise UsageError(f"{shown(url)}: a web server cannot be written to; give s3://, gs://, az:// or a file")
    if url.endswith("/") or "/" not in url.partition("://")[2]:
        raise UsageError(f"{shown(url)}: is a folder of objects; give the name of an object")
    system = file_system(url)
    begin_and_abort = {"s3": _probe_s3, "gs": _probe_gs, "az": _probe_az}[scheme]
    _repeat(url, system, partial(begin_and_abort, system, url))


def upload(file: Path, url: str) -> None:
    """Write a file to an object, in place of an earlier one.

    Raises:
        StorageError: the object cannot be written.
    """
    system = file_system(url)
    _repeat(url, system, partial(system._put_file, os.fspath(file), url))


def _repeat(url: str, system: Any, request: Callable[[], Any]) -> None:
    retry(url, lambda: wait_for(system, request(), lambda: False), lambda: False, lambda: 0)


async def _probe_s3(system: Any, url: str) -> None:
    bucket, key, _ = system.split_path(url)
    begun = await system._call_s3("create_multipart_upload", Bucket=bucket, Key=key)
    await system._call_s3("abort_multipart_upload", Bucket=bucket, Key=key, UploadId=begun["UploadId"])


async def _probe_gs(system: Any, url: str) -> None:
    from gcsfs.core import initiate_upload

    bucket, key, _ = system.split_path(url)
    location = await initiate_upload(system, bucket, key)
    await system._call("DELETE", location.replace("&ifGenerationMatch=0", ""))


async def _probe_az(system: Any, url: str) -> None:
    container, name, _ = system.split_path(url)
    async with system.service_client.get_blob_client(container=container, blob=name) as client:
        await client.stage_block("YXZzY2VuZQ==", b" ")  # Azure removes blocks that are not committed
