"""Choose a system, name scenes, search the list of recordings and delete from it."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page

from tests.support.page import CommandLine, drop, shown_spans, wait_for_timeline, write_two_scenes
from tests.support.server import Serving


def test_own_scenes(server: Serving, visit: Callable[..., Page], command: CommandLine, recordings: Path) -> None:
    page = visit(server.url)
    page.get_by_role("button", name="Change").click()
    dialog = page.get_by_role("dialog", name="Choose a system")
    dialog.get_by_role("radio", name=re.compile("^conse ")).check()
    dialog.get_by_role("button", name="Use this system").click()
    page.get_by_role("radio", name="Own scenes").check()
    page.get_by_label("Scenes to choose between").fill("ocean, lawn;busy street")
    page.get_by_label("Scenes to choose between").press("Enter")
    assert page.get_by_role("list", name="Scenes").locator("li").all_inner_texts() == ["ocean", "lawn", "busy street"]
    drop(page, recordings / "silent.mp4")
    wait_for_timeline(page)
    expected = command.spans(recordings / "silent.mp4", "--system", "conse", "--labels", "ocean,lawn,busy street")
    shown = shown_spans(page)
    assert [row[:2] for row in shown] == [row[:2] for row in expected]
    assert [row[2] for row in shown] == pytest.approx([row[2] for row in expected], abs=0.0051)
    page.goto(server.url)  # the choice is kept
    assert page.get_by_role("radio", name="Own scenes").is_checked()


def test_first_page_is_small(server: Serving, visit: Callable[..., Page]) -> None:
    page = visit("about:blank")
    session = page.context.new_cdp_session(page)
    sizes: list[float] = []
    session.send("Network.enable")
    session.on("Network.loadingFinished", lambda event: sizes.append(event["encodedDataLength"]))
    page.goto(server.url)
    page.wait_for_load_state("networkidle")
    assert len(sizes) > 10  # the page, its style and its modules
    assert sum(sizes) < 200_000  # bytes


def test_list_of_recordings(
    server: Serving, visit: Callable[..., Page], finished: dict[str, str], tmp_path: Path
) -> None:
    page = visit(server.url)
    drop(page, write_two_scenes(tmp_path / "to_delete.mp4", ("cave", "furnace"), seconds=1))
    wait_for_timeline(page)
    identity = page.url.rpartition("/")[2]
    page.reload()
    wait_for_timeline(page)
    page.get_by_role("link", name="All recordings").click()
    search = page.get_by_role("searchbox", name="Search by file or scene")
    for text, names in [("to_del", {"to_delete.mp4"}), ("meadow", {"two_scenes.mp4", "silent.mp4"})]:
        search.fill(text)
        _wait_for_names(page, names)
    search.fill("")
    page.get_by_label("State").select_option("Failed")
    _wait_for_names(page, {"broken.mp4"})
    page.get_by_label("State").select_option("All")
    link = page.get_by_role("link", name="to_delete.mp4")
    assert link.get_attribute("href") == f"#/job/{identity}"
    page.get_by_role("button", name="Delete to_delete.mp4").press("Enter")
    page.keyboard.press("Escape")  # keeps it
    link.wait_for()
    page.get_by_role("button", name="Delete to_delete.mp4").press("Enter")
    page.get_by_role("dialog").get_by_role("button", name="Delete").press("Enter")
    link.wait_for(state="detached")
    assert not (server.directory / "jobs" / identity).exists()


def _wait_for_names(page: Page, names: set[str]) -> None:
    links = page.locator(".recording h3 a")
    for _ in range(200):
        if names <= set(found := links.all_inner_texts()) and len(set(found) - names) == 0:
            return
        page.wait_for_timeout(50)
    pytest.fail(f"listed: {links.all_inner_texts()}")
