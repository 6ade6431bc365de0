"""Makes src/avscene/models/imagenet_classes.safetensors: one sentence embedding for each of ImageNet's classes.

Run it after a change of the sentence encoder: python tools/embed_imagenet_classes.py [OUTPUT]
"""

import sys
from pathlib import Path

import torch
from safetensors.torch import save_file
from timm.data import ImageNetInfo

from avscene.models.conse import sentence
from avscene.models.conse import zero_shot as embedded
from avscene.models.weights import packaged


def main() -> None:
    default = Path(embedded.__file__).parent / embedded.CLASS_EMBEDDINGS
    output = Path(sys.argv[1]) if len(sys.argv) > 1 else default
    descriptions = ImageNetInfo().label_descriptions(detailed=True)
    embeddings = sentence.load_sentence_encoder().embed(descriptions).to(torch.float16)
    save_file({"embeddings": embeddings}, output, metadata={"encoder_sha256": packaged.SENTENCE_ENCODER.sha256})


if __name__ == "__main__":
    main()
