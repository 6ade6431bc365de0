"""Run the server: listen on an address, serve until a signal, then end in order."""

import asyncio
import errno
import socket
from collections.abc import Callable
from importlib.util import find_spec

from avscene.errors import PackageError, UsageError
from avscene.server.settings import ServerSettings

PACKAGES = ("fastapi", "uvicorn", "sse_starlette", "prometheus_client", "python_multipart")
BACKLOG = 512  # connections that wait to be accepted


def serve(settings: ServerSettings, on_listening: Callable[[str], None] | None = None) -> bool:
    """Serve until SIGTERM, SIGINT or SIGHUP, then finish the jobs that run; a second signal returns them to the queue.

    Args:
        settings: Of the server.
        on_listening: Called with the address of the page when requests are answered.

    Returns:
        Whether all jobs that ran were finished.

    Raises:
        PackageError: a package of the extra `avscene[server]` is not installed.
        UsageError: the address cannot be listened on, or as in `create_app`.
        DataError: as in `create_app`.
    """
    check_packages()
    with _listen(settings) as listener:
        from avscene.server.app import create_app
        from avscene.server.ending import StoppableServer

        address = _address(listener)
        server = StoppableServer(create_app(settings), lambda: on_listening and on_listening(address))
        asyncio.run(server.serve(sockets=[listener]))
        return not server.was_forced


def check_packages() -> None:
    """Check that the packages of the server are installed.

    Raises:
        PackageError: one is not.
    """
    for package in PACKAGES:
        if find_spec(package) is None:
            name = package.replace("_", "-")
            raise PackageError(f"serve: {name} is not installed; try: pip install 'avscene[server]'")


def _listen(settings: ServerSettings) -> socket.socket:
    """Return a socket that is bound to the address of the settings.

    Raises:
        UsageError: that is not possible.
    """
    host, port = settings.host.strip("[]"), settings.port
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listener = socket.socket(family, socket.SOCK_STREAM)
        try:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(address)
            listener.listen(BACKLOG)
        except OSError:
            listener.close()
            raise
    except OSError as error:
        raise UsageError(_listen_problem(host, port, error)) from None
    return listener


def _listen_problem(host: str, port: int, error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        return f"--port {port}: is in use at {host}; try: avscene serve --port {port + 1 if port < 65535 else 8000}"
    if error.errno == errno.EACCES:
        return f"--port {port}: needs the rights of an administrator; try: avscene serve --port 8000"
    if isinstance(error, socket.gaierror) or error.errno == errno.EADDRNOTAVAIL:
        return f"--host {host}: is not an address of this machine; try: avscene serve --host 127.0.0.1"
    return f"--host {host} --port {port}: cannot be listened on ({error.strerror or error})"


def _address(listener: socket.socket) -> str:
    """Return the address of the page."""
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
