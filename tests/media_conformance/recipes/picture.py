"""Make videos of unusual shape, orientation, colour or transparency."""

from pathlib import Path

from tests.media_conformance import picture_code
from tests.media_conformance.case import Case, Expected, Recipe
from tests.media_conformance.recipes.ordinary import VP9, plain, seconds_of_frames, seconds_of_keys
from tests.media_conformance.source import AAC, H264, MPEG2, Arguments, clip, copy, encode, frames, run
from tests.support.ffmpeg_program import ffmpeg_frames

TURNS = ("null", "transpose=1", "hflip,vflip", "transpose=2", "hflip", "vflip", "transpose=0", "transpose=3")
MATRICES = {
    "90": ("-display_rotation", 90),
    "180": ("-display_rotation", 180),
    "270": ("-display_rotation", 270),
    "mirrored": ("-display_hflip",),
    "mirrored_180": ("-display_vflip",),
    "mirrored_90": ("-display_rotation", 90, "-display_hflip"),
    "mirrored_270": ("-display_rotation", 270, "-display_hflip"),
}
ANY_FRAME = (...,)
RED = (200, 60, 40)
SEI = ("-bsf:v", "h264_metadata=display_orientation=insert:rotate=90")
LOSSLESS = ("-c:v", "ffv1", "-g", 1)


def _is_upright(path: Path) -> bool:
    """Whether the ffmpeg program shows the first frame upright."""
    shown = ffmpeg_frames(path, 128, 96, "-frames:v", "1")
    return bool(len(shown)) and picture_code.read(shown[0]) == (0, "upright")


def _turned(name: str, matrix: Arguments = (), output: Arguments = (), video: Arguments = H264) -> Recipe:
    """Store the frames turned in the way that the display matrix undoes, by the ffmpeg program."""

    def recipe(where: Path) -> Path:
        for number, turn in enumerate(TURNS):
            stored = encode(where / f"{number}.mp4", frames(), "-vf", turn, *video)
            path = copy(stored, where / name, *output, before=matrix)
            if _is_upright(path):
                return path
        raise AssertionError("no turn is undone by the display matrix")

    return recipe


def _zero_matrix(where: Path) -> Path:
    """Overwrite the display matrix of the track header with zeros."""
    path = clip("a.mp4", audio=None)(where)
    content = bytearray(path.read_bytes())
    matrix = content.index(b"tkhd") + 4 + 40  # version 0 (ISO/IEC 14496-12, 8.3.2)
    assert content[matrix : matrix + 4] == b"\0\1\0\0"
    content[matrix : matrix + 36] = bytes(36)
    path.write_bytes(content)
    return path


def _plain_colour(name: str, size: str, *options: str | float, rgb: tuple[int, int, int] = RED) -> Recipe:
    """Encode 2 s of one colour."""
    colour = "0x" + "".join(f"{value:02x}" for value in rgb)

    def recipe(where: Path) -> Path:
        source = ("-f", "lavfi", "-t", 2, "-i", f"color={colour}:size={size}:rate=5,format=gbrp")
        run(*source, *options, where / name)
        return where / name

    return recipe


def _converted(matrix: str, limits: str) -> str:
    return f"scale=out_color_matrix={matrix}:out_range={limits},format=yuv420p"


def _of_size(width: int, height: int) -> Case:
    """Return a case of frames whose shorter side is not scaled, too thin to carry a number."""
    recipe = clip("a.mkv", "-vf", f"scale={width}:{height}", video=LOSSLESS, audio=None, seconds=2)
    return Case(f"size_{width}x{height}", recipe, Expected(2, ANY_FRAME * 2, shape=(height, width)))


def _shaped(name: str, recipe: Recipe, shape: tuple[int, int], *, gop: bool = True, fast: bool = False) -> Case:
    keys = seconds_of_keys(8) if gop else (...,) * 8
    return Case(name, recipe, Expected(8, seconds_of_frames(8), keys, shape=shape), fast)


def _coloured(name: str, recipe: Recipe, rgb: tuple[int, int, int], shape: tuple[int, int] = (96, 128)) -> Case:
    return Case(name, recipe, Expected(2, ANY_FRAME * 2, shape=shape, colours={(0.5, 0.5): rgb}))


def _transparent(where: Path) -> Path:
    """Hide red under full transparency."""
    source = ("-f", "lavfi", "-t", 2, "-i", "color=0xc83c28:size=128x96:rate=5,format=argb,colorchannelmixer=aa=0")
    run(*source, "-c:v", "qtrle", where / "a.mov")
    return where / "a.mov"


def _hdr(transfer: str) -> Recipe:
    """Encode the frames in 10 bits as HDR."""
    x265 = f"keyint=4:min-keyint=4:scenecut=0:log-level=none:colorprim=bt2020:transfer={transfer}:colormatrix=bt2020nc"
    video = ("-c:v", "libx265", "-preset", "ultrafast", "-pix_fmt", "yuv420p10le", "-x265-params", x265)
    return clip("a.mp4", video=video, audio=AAC)


DV = ("-vf", "scale=720:576,fps=25,format=yuv420p", "-aspect", "4:3")
TAGS_709 = ("-colorspace", "bt709", "-color_primaries", "bt709", "-color_trc", "bt709", "-color_range", "tv")
TAGS_601 = ("-colorspace", "smpte170m", "-color_primaries", "smpte170m", "-color_range", "tv")
TAGS_FULL = ("-colorspace", "bt709", "-color_range", "pc")
X264 = ("-c:v", "libx264", "-qp", 4)
UNTAGGED = ("-colorspace", "unknown", "-color_range", "unknown")

CASES = (
    *(plain(f"turned_{name}_mp4", _turned("a.mp4", m), audio=False, fast=name == "90") for name, m in MATRICES.items()),
    plain("turned_90_mkv", _turned("a.mkv", MATRICES["90"]), audio=False),
    Case(
        "turned_90_by_sei",
        # One key frame: ffmpeg writes further messages behind the frames that they are for.
        _turned("a.mkv", output=SEI, video=(*H264, "-g", 250, "-keyint_min", 250)),
        Expected(8, seconds_of_frames(8), (0,) * 8),
    ),
    plain("zero_display_matrix", _zero_matrix, audio=False, fast=True),
    _shaped("sample_aspect_4:3_mp4", clip("a.mp4", "-vf", "setsar=4/3", audio=None), (96, 171), fast=True),
    _shaped("sample_aspect_3:4_mkv", clip("a.mkv", "-vf", "setsar=3/4", audio=None), (96, 96)),
    _shaped("sample_aspect_16:9_h264_ts", clip("a.ts", "-aspect", "16:9", audio=None), (96, 171)),
    _shaped(
        "sample_aspect_16:9_mpeg2",
        clip("a.mpg", "-aspect", "16:9", video=(*MPEG2, "-r", 25), audio=None),
        (96, 171),
        gop=False,
    ),
    _shaped("sample_aspect_dv_pal", clip("a.dv", *DV, video=("-c:v", "dvvideo"), audio=None), (96, 128), gop=False),
    _of_size(1, 1),
    _of_size(2, 2),
    _of_size(17, 5),
    _of_size(3, 5000),
    _of_size(5000, 3),
    Case(
        "intra_refresh_ts",
        clip("a.ts", video=(*H264, "-x264-params", "intra-refresh=1")),
        # Only the first frame is a whole one, so there is no nearest key frame.
        Expected(8, seconds_of_frames(8), (...,) * 8, tuple(range(8))),
    ),
    _coloured(
        "bt709_tagged", _plain_colour("a.mp4", "128x96", "-vf", _converted("bt709", "tv"), *X264, *TAGS_709), RED
    ),
    _coloured(
        "bt601_tagged", _plain_colour("a.mp4", "128x96", "-vf", _converted("smpte170m", "tv"), *X264, *TAGS_601), RED
    ),
    _coloured("full_range", _plain_colour("a.mp4", "128x96", "-vf", _converted("bt709", "pc"), *X264, *TAGS_FULL), RED),
    _coloured(
        "untagged_sd_is_bt601",
        _plain_colour("a.mp4", "128x96", "-vf", _converted("smpte170m", "tv") + ",setparams=colorspace=unknown", *X264),
        RED,
    ),
    _coloured(
        "untagged_hd_is_bt709",
        _plain_colour("a.mp4", "1280x720", "-vf", _converted("bt709", "tv") + ",setparams=colorspace=unknown", *X264),
        RED,
        (96, 171),
    ),
    _coloured("gbr_video", _plain_colour("a.mkv", "128x96", *LOSSLESS), RED),
    _coloured("transparent_is_white", _transparent, (255, 255, 255)),
    plain("alpha_vp9", clip("a.webm", "-pix_fmt", "yuva420p", "-auto-alt-ref", 0, video=VP9, audio=None), audio=False),
    plain("hdr10", _hdr("smpte2084")),
    plain("hlg", _hdr("arib-std-b67")),
)
