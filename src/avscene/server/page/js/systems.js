// Let a person choose a system, its scenes and how to read a recording; remember the choice in this browser.

import { askOnce, forget } from "./api.js";
import { element, icon, showDialog } from "./dom.js";
import { sceneName } from "./format.js";
import { problemWith, scenesEditor } from "./scenes.js";

const KEY = "avscene.settings";
const NEEDS = { audio: ["audio"], video: ["video"], both: ["audio", "video"] };
const WEIGHTS = {
  available: "Ready",
  downloadable: "Weights are downloaded at first use",
  missing: "Weights are not on the server",
  untrained: "Must be trained first",
};
const GROUPS = [
  ["Ready", (system) => system.weights === "available"],
  ["Ready after a download", (system) => system.weights === "downloadable"],
  ["Not usable here", (system) => !isUsable(system)],
];

const isUsable = (system) => system.weights === "available" || system.weights === "downloadable";

/** The choice: `{ system, own, names, frames, hop }`; `own` is whether the scenes `names` replace those of the system. */
function readChoice() {
  try {
    return { own: false, names: [], frames: "exact", hop: null, ...JSON.parse(localStorage.getItem(KEY) ?? "{}") };
  } catch {
    return { own: false, names: [], frames: "exact", hop: null };
  }
}

function writeChoice(choice) {
  try {
    localStorage.setItem(KEY, JSON.stringify(choice));
  } catch {} // storage may be blocked or full; the choice then lasts as long as the page
  current = choice;
}

let current = readChoice();

/** Return the settings of the next uploads, and `problem`, why these cannot be used, or "". */
export async function chosenSettings() {
  const { value, error } = await askOnce("v1/systems");
  if (error) return { problem: error.message };
  const system = systemOf(value);
  if (!system) return { problem: "No system can be used here." };
  const labels = system.zero_shot && current.own ? current.names : null;
  const problem = !isUsable(system) ? `${system.name}: ${system.note || WEIGHTS[system.weights]}` : labels ? problemWith(labels) : "";
  return { system: system.name, labels, frames: current.frames, hop: current.hop, problem };
}

/** Return the chosen system, else the default one, else the first that can be used. */
function systemOf({ systems, default: standard }) {
  const chosen = systems.find((system) => system.name === current.system);
  if (chosen && isUsable(chosen)) return chosen;
  return systems.find((system) => system.name === standard) ?? systems.find(isUsable) ?? systems[0];
}

/** Return the short name of a system; one given as a directory is named after it. */
export const systemName = (name) => name.split("/").filter(Boolean).pop() ?? name;

/** Return the tags of what a system needs. */
function needTags(system) {
  return element(
    "span",
    { class: "tags" },
    NEEDS[system.needs].map((modality) => element("span", { class: "tag" }, icon(modality), modality)),
  );
}

/** Return the panel of settings; it fills itself when the systems are known. */
export function settingsPanel() {
  const body = element("div", { class: "settings-body" }, element("p", { class: "muted" }, "Asking for the systems…"));
  const panel = element("section", { class: "card settings", "aria-labelledby": "settings-title" }, element("h2", { id: "settings-title" }, "System"), body);
  const fill = async () => {
    const { value, error } = await askOnce("v1/systems");
    if (error) {
      const again = element("button", { type: "button", onclick: fill }, "Try again");
      body.replaceChildren(element("p", { class: "problem" }, error.message), again);
    } else {
      body.replaceChildren(...settingsOf(value, fill));
    }
  };
  fill();
  return panel;
}

function settingsOf(answer, refill) {
  const system = systemOf(answer);
  if (!system) return [element("p", { class: "problem" }, "There is no system.")];
  const change = element("button", { type: "button", class: "change", "aria-haspopup": "dialog" }, "Change");
  change.addEventListener("click", async () => {
    forget("v1/systems"); // weights may have come since
    const { value } = await askOnce("v1/systems");
    const name = await chooseSystem(value ?? answer, system);
    if (name) writeChoice({ ...current, system: name });
    await refill();
    document.querySelector(".settings .change")?.focus();
  });
  return [
    element(
      "div",
      { class: "system" },
      element("p", { class: "system-name" }, element("strong", {}, systemName(system.name)), needTags(system), change),
      element("p", { class: "muted" }, system.title),
      system.weights !== "available" && element("p", { class: isUsable(system) ? "help" : "problem" }, weightsText(system)),
    ),
    system.zero_shot ? scenesChoice(system) : fixedScenes(system),
    readingOptions(),
  ];
}

const weightsText = (system) => [WEIGHTS[system.weights], system.note].filter(Boolean).join(": ");

function fixedScenes(system) {
  if (!system.labels) return null;
  return element(
    "details",
    {},
    element("summary", {}, `${system.labels.length} scenes, fixed by its training`),
    element("p", { class: "muted" }, system.labels.map(sceneName).join(", ")),
  );
}

function scenesChoice(system) {
  const standard = system.labels ?? [];
  const editor = scenesEditor(current.names, (names) => writeChoice({ ...current, names }));
  const choice = (own, text, help = "") => {
    const input = element("input", { type: "radio", name: "scenes", checked: current.own === own });
    input.addEventListener("change", () => {
      writeChoice({ ...current, own });
      editor.node.hidden = !own;
    });
    return element("label", { class: "choice" }, input, element("span", {}, text, help && element("span", { class: "help" }, help)));
  };
  editor.node.hidden = !current.own;
  return element(
    "fieldset",
    {},
    element("legend", {}, "Scenes"),
    choice(false, standard.length ? `The standard ${standard.length}` : "The standard scenes", standard.map(sceneName).join(", ")),
    choice(true, "My own scenes"),
    editor.node,
  );
}

function readingOptions() {
  const frames = element(
    "select",
    { id: "frames" },
    element("option", { value: "exact" }, "the frame at the middle of each segment"),
    element("option", { value: "keyframes" }, "key frames only: faster, less exact"),
  );
  frames.value = current.frames;
  frames.addEventListener("change", () => writeChoice({ ...current, frames: frames.value }));
  const hop = element("input", { id: "hop", type: "number", min: "0.1", max: "60", step: "0.1", placeholder: "as the system", inputmode: "decimal" });
  if (current.hop !== null) hop.value = current.hop;
  const problem = element("p", { class: "problem", role: "status" });
  hop.addEventListener("input", () => {
    const isGood = hop.value !== "" && hop.checkValidity();
    problem.textContent = hop.checkValidity() ? "" : "Give between 0.1 and 60 seconds.";
    writeChoice({ ...current, hop: isGood ? Number(hop.value) : null });
  });
  return element(
    "details",
    { open: current.frames !== "exact" || current.hop !== null },
    element("summary", {}, "Frames and segments"),
    element("label", { for: "frames" }, "Frames"),
    frames,
    element("label", { for: "hop" }, "Seconds per segment"),
    hop,
    problem,
  );
}

/** Show all systems, with what each needs and why some cannot be used; return the chosen name, or "". */
async function chooseSystem({ systems }, chosen) {
  const row = (system) => {
    const usable = isUsable(system);
    const input = element("input", { type: "radio", name: "system", value: system.name, disabled: !usable, checked: system === chosen || system.name === chosen.name });
    return element(
      "label",
      { class: usable ? "system-row" : "system-row disabled" },
      input,
      element("span", { class: "system-name" }, element("strong", {}, systemName(system.name)), needTags(system)),
      element("span", { class: "muted" }, system.title),
      (system.note || !usable) && element("span", { class: "note" }, system.note || WEIGHTS[system.weights]),
    );
  };
  const groups = GROUPS.map(([title, belongs]) => [title, systems.filter(belongs)]).filter(([, members]) => members.length);
  const content = groups.map(([title, members]) =>
    isUsable(members[0])
      ? element("fieldset", {}, element("legend", {}, title), members.map(row))
      : element("details", {}, element("summary", {}, `${title} (${members.length})`), element("fieldset", { "aria-label": title }, members.map(row))),
  );
  const selected = { name: "" };
  const list = element("div", { class: "system-list", onchange: (event) => (selected.name = event.target.value) }, content);
  const buttons = [{ label: "Cancel", value: "" }, { label: "Use this system", value: "use", kind: "primary" }];
  const answer = await showDialog("Choose a system", [list], buttons, { class: "wide" });
  return answer === "use" ? selected.name || chosen.name : "";
}
