// Show the first page: where files are dropped or picked, the settings, and the recordings so far.

import { askOnce } from "./api.js";
import { classifyFiles } from "./classifying.js";
import { element, heading, icon, setTitle } from "./dom.js";
import { count, fileSize, longDuration } from "./format.js";
import { showHistory } from "./history.js";
import { settingsPanel } from "./systems.js";

export function showHome(container) {
  setTitle("Recordings");
  const list = element("section", { class: "recordings", "aria-labelledby": "recordings-title" });
  container.append(
    heading("Where was it recorded?"),
    element("p", { class: "lead" }, "Drop a video, an audio file or a photograph: see second by second which scene it shows, how sure the system is, and what audio and video each contribute."),
    element("div", { class: "start" }, dropPanel(), settingsPanel()),
    list,
  );
  return showHistory(list); // { ready, close() }
}

function dropPanel() {
  const input = element("input", { type: "file", multiple: true, class: "hidden", id: "files", tabindex: "-1", "aria-label": "Files to classify" });
  input.addEventListener("change", () => {
    if (input.files.length) classifyFiles([...input.files]);
    input.value = "";
  });
  const limitsText = element("p", { class: "muted" });
  askOnce("v1/limits").then(({ value }) => {
    if (!value) return;
    const types = value.suffixes.map((suffix) => `.${suffix.replace(/^\./, "")}`);
    input.accept = ["video/*", "audio/*", "image/*", ...types].join(",");
    const kept = `Files stay on the server, which removes them after ${count(value.keep, "day")}.`;
    limitsText.textContent = `Up to ${fileSize(value.max_upload)} and ${longDuration(value.max_duration)} each. ${kept}`;
  });
  return element(
    "section",
    { class: "card drop", "aria-label": "Upload" },
    icon("upload"),
    element("button", { type: "button", class: "primary", onclick: () => input.click() }, "Choose files"),
    element("p", {}, "or drop files and folders anywhere on this page"),
    limitsText,
    element("p", { class: "problem", role: "alert" }),
    input,
  );
}
