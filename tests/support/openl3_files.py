"""OpenL3's weights as Keras wrote them, with random numbers, and a server that offers them and breaks off."""

import gzip
import io
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from types import TracebackType

import h5py
import numpy as np

from avscene.models.openl3.network import Branch, keras_layers

LAST_LAYER: dict[Branch, str] = {"audio": "audio_embedding_layer", "image": "vision_embedding_layer"}
# The networks were trained as two halves of one, so the numbers in the names of the audio half go on from the other's.
FIRST_NUMBER: dict[Branch, int] = {"image": 1, "audio": 9}
WEIGHT_ORDER = ("gamma", "beta", "moving_mean", "moving_variance", "kernel", "bias")

Weights = dict[str, dict[str, np.ndarray]]  # by layer, then by Keras's name of the weight
Edit = Callable[[h5py.File], None]


def random_weights(branch: Branch, seed: int = 0) -> Weights:
    """Numbers that keep signals at their size through the network, by layer in its order."""
    random = np.random.default_rng(seed)
    layers: Weights = {}
    for index, shapes in enumerate(keras_layers(branch)):
        number = FIRST_NUMBER[branch] + index // 2
        name = f"conv2d_{number}" if "kernel" in shapes else f"batch_normalization_{number}"
        if index == 15:
            name = LAST_LAYER[branch]
        layers[name] = {weight: _values(random, weight, shape) for weight, shape in shapes.items()}
    return layers


def _values(random: np.random.Generator, weight: str, shape: tuple[int, ...]) -> np.ndarray:
    if weight == "kernel":
        values = random.standard_normal(shape, np.float32) * np.sqrt(2 / np.prod(shape[:3]))
    elif weight in ("gamma", "moving_variance"):
        values = random.uniform(0.5, 1.5, shape)
    else:
        values = random.normal(0, 0.3, shape)
    return values.astype(np.float32)


def hdf5(weights: Weights, edit: Edit | None = None) -> bytes:
    """What Keras 2 saves: a group for each layer, also for those without weights, and their order in attributes."""
    buffer = io.BytesIO()
    with h5py.File(buffer, "w") as file:
        names = ["input_1"]
        for layer in weights:
            names += [layer, layer.replace("batch_normalization", "activation")] if "batch" in layer else [layer]
        file.attrs["layer_names"] = np.array(names, "S64")
        file.attrs["backend"], file.attrs["keras_version"] = b"tensorflow", b"2.2.4"
        for name in names:
            group = file.create_group(name)
            own = [weight for weight in WEIGHT_ORDER if weight in weights.get(name, {})]
            group.attrs["weight_names"] = np.array([f"{name}/{weight}:0".encode() for weight in own], "S64")
            for weight in own:
                group[f"{name}/{weight}:0"] = weights[name][weight]
        if edit is not None:
            edit(file)
    return buffer.getvalue()


def packed(content: bytes) -> bytes:
    """Gzipped, the same bytes every time."""
    return gzip.compress(content, compresslevel=1, mtime=0)


class FileServer:
    """`with FileServer({"name": bytes}) as server`: `server.url` has the files; `server.broken` makes it break off."""

    def __init__(self, files: dict[str, bytes]) -> None:
        self.files = files
        self.requests: list[str] = []
        self.broken = False
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                server.answer(self)

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        name = request.path.strip("/")
        self.requests.append(name)
        content = self.files.get(name)
        request.send_response(404 if content is None else 200)
        request.send_header("Content-Length", str(len(content or b"")))
        request.end_headers()
        request.wfile.write((content or b"")[: len(content or b"") // 2 if self.broken else None])

    def __enter__(self) -> "FileServer":
        Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
