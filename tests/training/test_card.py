"""Test model cards of every kind of checkpoint."""

import pytest

from avscene.features.logmel import LogMelSpec
from avscene.fusion.rules import Classwise, LogPool, Mean
from avscene.fusion.steps import Smoothing, VectorScaling
from avscene.fusion.tree import Fusion
from avscene.models.checkpoint import Config, Part
from avscene.models.cnn.audio_cnn import AudioCnnPart
from avscene.models.cnn.frame_cnn import FrameCnnPart
from avscene.models.efficientnet_lite import FRAMES
from avscene.models.fusion_network import FusionNetworkPart
from avscene.models.linear_heads import VideoHeadPart
from avscene.models.openl3.heads import OpenL3HeadPart
from avscene.training.card import model_card

LABELS = ("forest", "kitchen")
MEL = LogMelSpec(sample_rate=48_000, n_fft=1024, hop_length=512, n_mels=32, f_min=0.0, f_max=24_000.0)
EQUAL = {"forest": 1.0, "kitchen": 1.0}
CLIP_PART = FusionNetworkPart(
    name="C04", encoders=("clip-rn50x4", "efficientnet-lite1"), sizes=(4, 4), encoder_keys=("a", "b")
)
PARTS: dict[str, tuple[Part, tuple[str, ...]]] = {
    "audio network": (
        AudioCnnPart(name="A01", backbone="regnety_064.ra3_in1k", log_mel=MEL),
        (
            "- `A01`: regnety_064.ra3_in1k, fine-tuned on log-mels (32 bands of audio at 48000 Hz)",
            "regnety_064.ra3_in1k, the initial weights: apache-2.0",
            "The paper names the networks only: preprocessing, augmentation and optimisation are reconstructions of "
            "avscene.",
        ),
    ),
    "frame network": (
        FrameCnnPart(name="V03", backbone="hrnet_w18.ms_aug_in1k", frames=FRAMES),
        ("fine-tuned on frames of 224 x 224 pixels", "hrnet_w18.ms_aug_in1k, the initial weights: mit"),
    ),
    "late fusion": (
        CLIP_PART,
        (
            "a late fusion network on embeddings of the frozen encoders clip-rn50x4, efficientnet-lite1",
            "- clip-rn50x4: MIT",
            "- efficientnet-lite1: apache-2.0",
            "The network is that of Table 1 of the paper; its training is a reconstruction of avscene.",
        ),
    ),
    "openl3": (
        OpenL3HeadPart(name="B03", modality="both", encoder_keys=("a", "b")),
        ("head on OpenL3 embeddings of audio and frames", "CC BY 4.0", "Wang et al."),
    ),
    "frozen": (
        VideoHeadPart(name="video", frames=FRAMES),
        (
            "a linear head on tf_efficientnet_lite0, frozen, of frames",
            "is an addition of avscene; it is not in the paper",
        ),
    ),
}


def config(name: str, **changes: object) -> Config:
    given: dict[str, object] = {
        "name": name,
        "recipe": name,
        "labels": LABELS,
        "hop": 1.0,
        "fusion": Fusion.of(name),
        "training": {
            "data": "meta.csv",
            "held_out": "fold=5",
            "segments": {"train": 60, "validation": 20},
            "learning_rate": 0.0002,
            "history": [{"epoch": 1.0}],
            "plan": {"epochs": 5, "audio": {"time_shift": 0.25}},
        },
        "metrics": {"validation": {"log_loss": 0.25, "accuracy": 0.75, "n": 20}},
        "versions": {"avscene": "0.1.0"},
    }
    return Config(**{**given, **changes})


@pytest.mark.parametrize("kind", PARTS)
def test_card_describes_model_and_its_sources(kind: str) -> None:
    part, lines = PARTS[kind]
    card = model_card(config(part.name, models=(part,)))
    for line in lines:
        assert line in card
    assert "Okazaki" in card
    assert "forest, kitchen" in card
    assert "fusion:" not in card


def test_card_describes_training_and_metrics() -> None:
    part, _ = PARTS["frozen"]
    card = model_card(config("video", models=(part,)))
    assert (
        "- held out: fold=5\n- segments: train 60, validation 20\n- learning rate: 0.0002\n- plan: epochs 5\n" in card
    )
    assert "| validation | 0.250 | 0.750 | 20 |" in card
    assert "Measured on validation segments of groups that were not used for training." in card
    assert "cross-fitted by group" in model_card(config("video", models=(part,), measured_on="out-of-fold"))
    assert "history" not in card


def test_card_warns_of_small_networks() -> None:
    small = model_card(config("C04", models=(CLIP_PART,), training={"backbones": "small"}))
    assert "small networks in place of the paper's: its metrics are not comparable with those of the paper" in small
    assert "small networks" in model_card(config("C04", models=(CLIP_PART,), training={"backbones": "embedded"}))
    assert "small networks" not in model_card(config("C04", models=(CLIP_PART,), training={"backbones": "paper"}))


@pytest.mark.parametrize(
    ("fusion", "lines"),
    [
        (
            {"rule": Classwise(confidence="recall", weights={"A04": EQUAL, "V04": EQUAL})},
            (
                "fusion: a sum of A04, V04, weighted by their recall for each scene",
                "to use the recall on validation is a reconstruction",
            ),
        ),
        (
            {"rule": LogPool(exponents={"A04": 0.5, "V04": 1.25})},
            ("fusion: a log-linear pool with exponents A04 0.500, V04 1.250", "Genest & Zidek"),
        ),
        (
            {"rule": Mean(), "steps": (Smoothing(), VectorScaling(scale=EQUAL, bias=EQUAL))},
            (
                "fusion: the mean rule over A04, V04, then post-processing `smooth`, then post-processing `vector`",
                "does not describe its post-processing",
            ),
        ),
    ],
    ids=["classwise", "log-pool", "steps"],
)
def test_card_of_ensemble_describes_members_rule_and_steps(fusion: dict[str, object], lines: tuple[str, ...]) -> None:
    over = Fusion(name="E", members=("A04", "V04"), **fusion)
    card = model_card(config("E", fusion=over, members={"A04": "0" * 64, "V04": "1" * 64}))
    for line in (*lines, "- `A04`: a separate checkpoint", "- members: see their cards"):
        assert line in card
