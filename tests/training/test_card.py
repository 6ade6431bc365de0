"""Model cards: what each kind of checkpoint says of itself, made of its configuration alone."""

import pytest

from avscene.features.logmel import LogMelSpec
from avscene.fusion.rules import Classwise, LogPool, Mean
from avscene.fusion.steps import Smoothing, VectorScaling
from avscene.fusion.tree import Fusion
from avscene.models.checkpoint import Config, Part
from avscene.models.cnn.audio_cnn import AudioCnnPart
from avscene.models.cnn.efficientnet_lite import FRAMES
from avscene.models.cnn.frame_cnn import FrameCnnPart
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
    "sound network": (
        AudioCnnPart(name="A01", backbone="regnety_064.ra3_in1k", log_mel=MEL),
        (
            "- `A01`: regnety_064.ra3_in1k, fine-tuned on log-mels (32 bands of sound at 48000 Hz)",
            "regnety_064.ra3_in1k, from which training started: apache-2.0",
            "The seed names networks only: front ends, augmentation and optimisation are our reconstruction.",
        ),
    ),
    "picture network": (
        FrameCnnPart(name="V03", backbone="hrnet_w18.ms_aug_in1k", frames=FRAMES),
        ("fine-tuned on frames of 224 x 224 pixels", "hrnet_w18.ms_aug_in1k, from which training started: mit"),
    ),
    "late fusion": (
        CLIP_PART,
        (
            "a late fusion network over the embeddings of clip-rn50x4, efficientnet-lite1",
            "- clip-rn50x4: MIT",
            "- efficientnet-lite1: apache-2.0",
            "The network is the seed's Table 1; how it is trained is our reconstruction.",
        ),
    ),
    "openl3": (
        OpenL3HeadPart(name="B03", modality="both", encoder_keys=("a", "b")),
        ("head on OpenL3 embeddings of sound and frames", "CC BY 4.0", "Wang et al."),
    ),
    "frozen": (
        VideoHeadPart(name="video", frames=FRAMES),
        ("a linear head on tf_efficientnet_lite0, which stays as it is, of frames", "ours; the seed has no such row"),
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
def test_a_card_tells_what_the_model_is_and_what_it_rests_on(kind: str) -> None:
    part, told = PARTS[kind]
    card = model_card(config(part.name, models=(part,)))
    for line in told:
        assert line in card
    assert "Okazaki" in card
    assert "forest, kitchen" in card
    assert "fusion:" not in card


def test_a_card_tells_on_what_it_was_trained_and_measured() -> None:
    part, _ = PARTS["frozen"]
    card = model_card(config("video", models=(part,)))
    assert (
        "- held out: fold=5\n- segments: train 60, validation 20\n- learning rate: 0.0002\n- plan: epochs 5\n" in card
    )
    assert "| validation | 0.250 | 0.750 | 20 |" in card
    assert "Measured on validation segments, of groups that nothing was trained on." in card
    assert "seen no recording of its group" in model_card(config("video", models=(part,), measured_on="out-of-fold"))
    assert "history" not in card


def test_small_stand_ins_are_named_as_such() -> None:
    stand_ins = model_card(config("C04", models=(CLIP_PART,), training={"backbones": "small"}))
    assert "small stand-ins: its figures mean nothing beside those of the seed" in stand_ins
    assert "stand-ins" not in model_card(config("C04", models=(CLIP_PART,), training={"backbones": "paper"}))


@pytest.mark.parametrize(
    ("fusion", "told"),
    [
        (
            {"rule": Classwise(confidence="recall", weights={"A04": EQUAL, "V04": EQUAL})},
            ("fusion: a sum of A04, V04, weighted by their recall for each scene", "that they are the recall"),
        ),
        (
            {"rule": LogPool(exponents={"A04": 0.5, "V04": 1.25})},
            ("fusion: a log-linear pool of exponents A04 0.500, V04 1.250", "Genest & Zidek"),
        ),
        (
            {"rule": Mean(), "steps": (Smoothing(), VectorScaling(scale=EQUAL, bias=EQUAL))},
            (
                "fusion: the mean rule over A04, V04, then post-processing `smooth`, then post-processing `vector`",
                "does not describe it",
            ),
        ),
    ],
    ids=["classwise", "log-pool", "steps"],
)
def test_a_card_of_an_ensemble_tells_of_members_rule_and_steps(
    fusion: dict[str, object], told: tuple[str, ...]
) -> None:
    over = Fusion(name="E", members=("A04", "V04"), **fusion)
    card = model_card(config("E", fusion=over, members={"A04": "0" * 64, "V04": "1" * 64}))
    for line in (*told, "- `A04`: a checkpoint of its own", "- of the members: see their cards"):
        assert line in card
