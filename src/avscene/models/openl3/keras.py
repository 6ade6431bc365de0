"""Read OpenL3's weights from an untrusted Keras HDF5 file.

Only the layers of the architecture are read, after their names, shapes and types have been checked; links to other
files, external data and Python objects are never followed.
"""

import gzip
import io
import zlib

import h5py
import numpy as np

from avscene.errors import WeightsError
from avscene.models.openl3.network import Branch, keras_layers, torch_name
from avscene.records import FloatArray

MAX_BYTES = 32 << 20  # of the file, packed or not; the weights are 19 MB
_MAX_LAYERS = 100
_READ_ERRORS = (
    OSError,
    RuntimeError,
    KeyError,
    ValueError,
    TypeError,
    UnicodeDecodeError,
)  # raised by h5py on damaged files


def unpack_keras_file(content: bytes, name: str) -> bytes:
    """Decompress the HDF5 file in gzipped `content`.

    Raises:
        WeightsError: `content` is damaged, truncated, or larger than MAX_BYTES when decompressed.
    """
    try:
        with gzip.open(io.BytesIO(content)) as file:
            unpacked = file.read(MAX_BYTES + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise WeightsError(f"{name}: is damaged or truncated (gzip: {error}); delete it and fetch it again") from error
    if len(unpacked) > MAX_BYTES:
        raise WeightsError(
            f"{name}: is larger than {MAX_BYTES >> 20} MiB when decompressed; it is not the published file"
        )
    return unpacked


def read_keras(content: bytes, branch: Branch, name: str) -> dict[str, FloatArray]:
    """Read the HDF5 file `content`; return tensors by their torch names, in torch's layout.

    Layers are matched by their order, as in Keras: the numbers in their names differ between trainings.

    Raises:
        WeightsError: the file is not HDF5, or does not contain exactly the layers of `branch`.
    """
    try:
        with h5py.File(io.BytesIO(content), "r") as file:
            return _tensors(file, branch, name)
    except _READ_ERRORS as error:
        reason = " ".join(str(error).split())[:150]
        raise WeightsError(
            f"{name}: cannot be read as Keras weights ({reason}); delete it and fetch it again"
        ) from error


def _tensors(file: h5py.File, branch: Branch, name: str) -> dict[str, FloatArray]:
    layers = [(layer, paths) for layer in _names(file, "layer_names") if (paths := _weight_paths(file, layer))]
    expected = keras_layers(branch)
    if len(layers) != len(expected):
        raise WeightsError(
            f"{name}: has {len(layers)} layers with weights; OpenL3's {branch} network has {len(expected)}"
        )
    tensors: dict[str, FloatArray] = {}
    for index, ((layer, paths), shapes) in enumerate(zip(layers, expected, strict=True)):
        if set(paths) != set(shapes):
            found = ", ".join(sorted(paths))
            raise WeightsError(f"{name}: layer {layer} has {found}; expected {', '.join(sorted(shapes))}")
        for weight, shape in shapes.items():
            values = _values(_walk(file, paths[weight]), shape, f"{name}: {layer}, {weight}")
            tensors[torch_name(index, weight)] = _torch_layout(values)
    return tensors


def _weight_paths(file: h5py.File, layer: str) -> dict[str, str]:
    """Paths of the weights of `layer` by kind: `conv2d_1/conv2d_1/kernel:0` is a `kernel`."""
    names = _names(_walk(file, layer), "weight_names")
    return {name.rsplit("/", 1)[-1].split(":")[0]: f"{layer}/{name}" for name in names}


def _names(group: h5py.Group | h5py.Dataset, attribute: str) -> list[str]:
    names = np.atleast_1d(group.attrs[attribute])
    if len(names) > _MAX_LAYERS:
        raise ValueError(f"{attribute} has {len(names)} entries")
    return [name.decode() if isinstance(name, bytes) else str(name) for name in names]


def _walk(file: h5py.File, path: str) -> h5py.Group | h5py.Dataset:
    """Return the object at `path`, reached by hard links only: soft and external links can lead to other files."""
    here = file
    for step in path.split("/"):
        if not isinstance(here.get(step, getlink=True), h5py.HardLink):
            raise ValueError(f"{path} is not a hard link")
        here = here[step]
    return here


def _values(found: h5py.Group | h5py.Dataset, shape: tuple[int, ...], where: str) -> FloatArray:
    if not isinstance(found, h5py.Dataset):
        raise WeightsError(f"{where} is not an array")
    if found.shape != shape or found.dtype != np.float32:
        raise WeightsError(f"{where} is {found.dtype} {found.shape}; expected float32 {shape}")
    if found.is_virtual or found.external:
        raise WeightsError(f"{where} is stored in another file")
    values: FloatArray = found[()]
    if not np.isfinite(values).all():
        raise WeightsError(f"{where} has values that are not finite")
    return values


def _torch_layout(values: FloatArray) -> FloatArray:
    """Transpose kernels from Keras's (height, width, in, out) to torch's (out, in, height, width)."""
    return np.ascontiguousarray(values.transpose(3, 2, 0, 1)) if values.ndim == 4 else values
