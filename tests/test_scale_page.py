"""Test that the arithmetic of docs/scale.md follows from its inputs, and that these are what was measured."""

import re

import pytest

from benchmarks import million_hours
from benchmarks.million_hours import BEGIN, END, PAGE, RESULTS, Assumptions
from tests.support.processes import ROOT

HOURS = 1_000_000


def tables() -> list[list[list[str]]]:
    """Return the tables of the computed part of the page as rows of cells."""
    text = PAGE.read_text(encoding="utf-8").partition(BEGIN)[2].partition(END)[0]
    blocks = re.findall(r"(?:^\|.*\n)+", text, re.MULTILINE)
    return [[[cell.strip() for cell in line.strip("|").split("|")] for line in block.splitlines()] for block in blocks]


def number(text: str) -> float:
    return float(re.findall(r"[\d.,]+", text)[0].replace(",", "").rstrip("."))


def assumed() -> dict[str, float]:
    return {re.findall(r"--[\w-]+", name)[0].removeprefix("--"): float(value) for name, value in tables()[0][2:]}


def rounded(value: float, places: int = 0) -> object:
    """Return what a figure that was rounded to these places may be."""
    return pytest.approx(value, abs=0.5 * 10**-places + 1e-9 * value)


def test_the_page_is_what_the_generator_writes_from_the_results() -> None:
    page = PAGE.read_text(encoding="utf-8")
    lines = "\n".join(million_hours.tables(RESULTS.read_text(encoding="utf-8"), Assumptions()))
    assert million_hours.written(page, lines) == page, "run: python -m benchmarks.million_hours"


def test_hours_money_and_bandwidth_follow_from_the_rates() -> None:
    given = assumed()
    rates = {}
    for name, machine, rate, hours, _, money, days, into_one, into_all in tables()[1][2:]:
        rates[name, machine] = number(rate)
        price = given["gpu-price"] if machine.startswith("GPU") else given["cpu-price"]
        exact_rate = HOURS / number(hours)  # the rate itself is rounded in the page
        assert number(rate) == pytest.approx(exact_rate, abs=0.5, rel=1e-3)
        assert number(money) == pytest.approx(number(hours) * price, abs=price)
        assert number(days) == rounded(number(hours) / given["machines"] / 24, 1)
        assert number(into_one) == pytest.approx(exact_rate * given["mbit"], abs=0.6, rel=1e-3)
        assert number(into_all) == pytest.approx(
            exact_rate * given["mbit"] * given["machines"] / 1000, abs=0.1, rel=1e-3
        )
    assert len(rates) == 6


def test_rates_on_processors_are_those_of_the_results_in_proportion() -> None:
    given, text = assumed(), RESULTS.read_text(encoding="utf-8")
    factor = given["cpu-cores"] / 2 * given["scaling"]
    of_rows = {
        "zero-shot ViT-B/32, exact": r"zero-shot ViT-B/32, 720p \| ([\d.]+) s of",
        "zero-shot ViT-B/32, key frames": r"zero-shot ViT-B/32, 720p, keyframes \| ([\d.]+) s of",
        "E02, exact": r"E02 on 720p, real-time factor \| ([\d.]+) s of",
    }
    for name, _, rate, *_ in tables()[1][2:5]:
        (measured,) = re.findall(of_rows[name], text)
        assert number(rate) == rounded(float(measured) * factor)


def test_volume_and_requests_follow_from_the_length_and_the_rate_of_recordings() -> None:
    given = assumed()
    found = dict(tables()[2][2:])
    assert number(found["recordings"]) == rounded(HOURS * 60 / given["minutes"])
    assert number(found["volume"]) == rounded(HOURS * 3600 * given["mbit"] * 1e6 / 8 / 1e12)
    requests, money = found["requests: one look-up and one read of each object"].split(": $")
    assert number(requests) == 2 * number(found["recordings"])
    assert number(money) == rounded(number(requests) / 1e6 * given["get-price"])
    pages, _ = found["requests: pages of 1,000 names"].split(": $")
    assert number(pages) == rounded(number(found["recordings"]) / 1000)


def test_the_rates_on_a_gpu_that_the_text_names_are_those_of_the_arithmetic() -> None:
    text = PAGE.read_text(encoding="utf-8")
    images = million_hours.GPU_IMAGES
    for name, value in {"ViT-B/32": "1,673 images/s", "RegNetY": "800", "HRNet-W18": "385"}.items():
        assert f"{name} {value}" in text
        assert images[name] == number(value)
    assert f"late fusion {million_hours.GPU_ROWS:,.0f}" in " ".join(text.split())
    assert f"{million_hours.GPU_DECODING} times as fast as real time" in " ".join(text.split())
    exact = [number(row[2]) for row in tables()[1][2:] if row[1].startswith("GPU") and "exact" in row[0]]
    assert exact == [rounded(million_hours.GPU_DECODING)] * 2


def test_e02_on_a_gpu_is_bounded_by_its_networks() -> None:
    """The three measured networks alone take 1/800 + 1/385 + 1/1673 s for each second."""
    rate = million_hours.e02_on_gpu(RESULTS.read_text(encoding="utf-8"))
    assert rate < 1 / (1 / 800 + 1 / 385 + 1 / 1673)
    line = "| E02 on 720p, real-time factor | x | video: V01 10, V03 10, clip-vit-b-32 10, A01 30 |"
    assert million_hours.e02_on_gpu(line) == pytest.approx(1 / (2 * (1 / 800 + 1 / 385 + 1 / 1673) + 1 / 195_330))


def test_other_prices_are_printed_and_do_not_change_the_page(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    before = PAGE.read_bytes()
    monkeypatch.setattr("sys.argv", ["million_hours", "--cpu-price", "1.4"])
    million_hours.main()
    doubled = [row.split("|")[6] for row in capsys.readouterr().out.splitlines() if row.startswith("| E02, exact | 16")]
    (money,) = [row[5] for row in tables()[1][2:] if row[0] == "E02, exact" and row[1].startswith("16")]
    assert number(doubled[0]) == pytest.approx(2 * number(money), abs=1)
    assert PAGE.read_bytes() == before


def test_the_readme_leads_to_the_page() -> None:
    assert "(docs/scale.md)" in (ROOT / "README.md").read_text(encoding="utf-8")
