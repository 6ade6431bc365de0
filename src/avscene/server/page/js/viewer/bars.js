// Show the probabilities of a whole recording, or of a photograph, as a table with bars.

import { element } from "../dom.js";
import { probability } from "../format.js";
import { sceneLabel, shownName, swatch } from "./swatch.js";

const MOST = 5; // scenes shown at first
const MOST_OF_PHOTOGRAPH = 12;

// Return a card with the probabilities of `recording` in the whole; of a photograph also those of its models.
export function barsCard(recording, title) {
  const { labels, overall, isPhotograph, rows } = recording;
  const sides = isPhotograph ? rows : [];
  const order = [...labels.keys()].sort((a, b) => overall[b] - overall[a]);
  const most = isPhotograph ? MOST_OF_PHOTOGRAPH : MOST;
  const body = element("tbody");
  const fill = (all) => body.replaceChildren(...(all ? order : order.slice(0, most)).map((scene) => bar(recording, scene, sides)));
  const heads = ["Scene", sides.length ? "Fused" : "Probability", ...sides.map((row) => row.title)];
  const head = element("tr", {}, ...heads.map((text) => element("th", { scope: "col" }, text)));
  const table = element("table", { class: `v-bars${sides.length ? " several" : ""}` }, element("caption", { class: "hidden" }, title), element("thead", { class: sides.length ? null : "hidden" }, head), body);
  const more = element("button", { type: "button", class: "link", "aria-expanded": "false" }, `Show all ${labels.length} scenes`);
  more.addEventListener("click", () => {
    const all = more.getAttribute("aria-expanded") === "false";
    fill(all);
    more.setAttribute("aria-expanded", String(all));
    more.textContent = all ? `Show the top ${most} scenes only` : `Show all ${labels.length} scenes`;
  });
  fill(false);
  return element("section", { class: "card", "aria-label": title }, element("h2", {}, title), table, order.length > most && more);
}

function bar({ labels, overall }, scene, sides) {
  const name = element("th", { scope: "row" }, sceneLabel(scene, shownName(labels[scene])));
  const cells = [overall, ...sides.map((row) => row.probabilities)].map((values) => barCell(values[scene], scene));
  return element("tr", {}, name, ...cells);
}

function barCell(value, scene) {
  if (Number.isNaN(value)) return element("td", {}, "not scored");
  const filled = swatch(scene);
  filled.className += " v-bar-filled";
  filled.style.inlineSize = `${value * 100}%`;
  const track = element("span", { class: "v-bar", "aria-hidden": "true" }, filled);
  return element("td", {}, element("span", { class: "v-bar-cell" }, track, element("span", { class: "v-bar-value" }, probability(value))));
}
