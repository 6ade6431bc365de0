// Browse the results of an archive: a list of thousands with filters that the address keeps, and one recording of it.

import { address, ask, askOnce } from "./api.js";
import { announce, element, heading, icon, setTitle } from "./dom.js";
import { failurePanel } from "./failure.js";
import { baseName, count, duration, probability, readable, sceneName } from "./format.js";
import { downloadsOf, loadViewer } from "./job.js";
import { flags, sceneText, scoreBar } from "./row.js";

const PAGE = 100;
const PAUSE = 300; // ms
const ORDERS = [
  ["name", "Name"],
  ["score", "Probability, highest first"],
  ["-score", "Probability, lowest first"],
  ["duration", "Duration, longest first"],
  ["-duration", "Duration, shortest first"],
];
const FILTERS = ["search", "scene", "min_score", "max_score", "mismatch", "failed", "order"];

// The list that was shown last: its address, its parameters, and its recordings, which know whether there is media.
let last = { address: "", parameters: null, recordings: [] };

export function showArchive(container, query) {
  const view = new ArchiveList(container, new URLSearchParams(query));
  view.ready = view.load();
  return view;
}

class ArchiveList {
  #question = new AbortController();
  #pause = 0;
  #scenes = "";

  constructor(container, query) {
    setTitle("Archive");
    this.offset = Math.max(0, Math.floor(Number(query.get("offset")) || 0));
    this.total = element("p", { role: "status" });
    this.clear = element("button", { type: "button", class: "small", onclick: () => this.#clear() }, "Clear filters");
    this.fields = this.#makeFields(query);
    this.form = element("form", { class: "card filters-form", role: "search", "aria-label": "Filter" }, this.#formRows());
    this.form.addEventListener("submit", (event) => event.preventDefault());
    this.form.addEventListener("input", (event) => {
      clearTimeout(this.#pause);
      this.#pause = setTimeout(() => this.#filter(), event.target.matches("input") ? PAUSE : 0);
    });
    const sort = element("div", { class: "sort" }, element("label", { for: "order" }, "Sort by"), this.fields.order);
    this.fields.order.addEventListener("change", () => this.#filter());
    this.head = element("div", { class: "archive-head" }, this.total, this.clear, sort);
    this.body = element("div", {});
    this.pager = element("nav", { class: "pager", "aria-label": "Pages", hidden: true });
    container.append(heading("Archive"), this.form, this.head, this.body, this.pager);
  }

  close() {
    clearTimeout(this.#pause);
    this.#question.abort();
  }

  #makeFields(query) {
    const text = (id, attributes) => element("input", { id, value: query.get(id), autocomplete: "off", ...attributes });
    const select = (id, options) => {
      const node = element("select", { id }, options.map(([value, label]) => element("option", { value }, label)));
      node.value = query.get(id) ?? options[0][0];
      return node;
    };
    const chosen = query.get("scene");
    const number = { type: "number", min: "0", max: "1", step: "0.01", inputmode: "decimal" };
    return {
      search: text("search", { type: "search", placeholder: "Part of a path" }),
      scene: select("scene", [["", "Any"], ...(chosen ? [[chosen, sceneName(chosen)]] : [])]),
      min_score: text("min_score", { ...number, placeholder: "0" }),
      max_score: text("max_score", { ...number, placeholder: "1" }),
      mismatch: select("mismatch", [["", "Any"], ["true", "Mismatch"], ["false", "No mismatch"]]),
      failed: select("failed", [["", "Any"], ["false", "Classified"], ["true", "Failed"]]),
      order: select("order", ORDERS),
    };
  }

  #formRows() {
    const { fields } = this;
    const field = (label, node, kind = "") => element("div", { class: `field ${kind}` }, element("label", { for: node.id }, label), node);
    const range = element(
      "fieldset",
      { class: "field range" },
      element("legend", {}, "Probability"),
      element(
        "div",
        {},
        element("label", { for: "min_score", class: "hidden" }, "From"),
        fields.min_score,
        element("span", { "aria-hidden": "true" }, "to"),
        element("label", { for: "max_score", class: "hidden" }, "To"),
        fields.max_score,
      ),
    );
    return [
      field("File", fields.search, "wide"),
      field("Scene", fields.scene),
      range,
      field("Audio and video", fields.mismatch),
      field("Result", fields.failed),
    ];
  }

  #clear() {
    for (const name of FILTERS) if (name !== "order") this.fields[name].value = "";
    this.fields.search.focus();
    this.#filter();
  }

  #filter() {
    this.offset = 0;
    this.load();
  }

  /** Return the parameters of the list as the address and the API have them. */
  get query() {
    const values = Object.fromEntries(FILTERS.map((name) => [name, this.fields[name].value.trim()]));
    if (values.order === "name") values.order = "";
    return { ...values, offset: this.offset || "" };
  }

  async load() {
    if (!this.form.reportValidity()) return;
    const query = new URLSearchParams(Object.entries(this.query).filter(([, value]) => value !== ""));
    this.clear.hidden = !FILTERS.some((name) => name !== "order" && this.query[name]);
    history.replaceState(null, "", query.size ? `#/archive?${query}` : "#/archive");
    this.#question.abort();
    this.#question = new AbortController();
    const parameters = { ...this.query, limit: PAGE };
    const { value, error } = await ask("GET", "v1/archive", { parameters, signal: this.#question.signal });
    if (error?.type === "aborted") return;
    if (error) {
      const again = element("button", { type: "button", onclick: () => this.load() }, "Try again");
      this.body.replaceChildren(failurePanel(error, [again]));
      return;
    }
    last = { address: location.hash, parameters, recordings: value.recordings };
    this.#show(value);
  }

  #show({ total, recordings, scenes, broken }) {
    this.#offerScenes(scenes);
    this.total.textContent = total ? count(total, "recording") : "No recording matches these filters.";
    const unreadable = broken > 0 && element("p", { class: "muted" }, `${count(broken, "line")} of the results cannot be read and ${broken === 1 ? "is" : "are"} left out.`);
    this.body.replaceChildren(...[recordings.length > 0 && tableOf(recordings), unreadable].filter(Boolean));
    this.#page(total);
  }

  #offerScenes(scenes) {
    const names = JSON.stringify(scenes);
    if (names === this.#scenes) return;
    this.#scenes = names;
    const { scene } = this.fields;
    const chosen = scene.value;
    const options = Object.entries(scenes).map(([name, number]) => element("option", { value: name }, `${sceneName(name)} (${number.toLocaleString("en")})`));
    if (chosen && !(chosen in scenes)) options.push(element("option", { value: chosen }, sceneName(chosen)));
    scene.replaceChildren(element("option", { value: "" }, "Any"), ...options);
    scene.value = chosen;
  }

  #page(total) {
    const pages = Math.ceil(total / PAGE);
    const page = Math.floor(this.offset / PAGE);
    this.pager.hidden = pages < 2;
    const button = (label, target) => element("button", { type: "button", disabled: target < 0 || target >= pages, onclick: () => this.#turn(target) }, label);
    this.pager.replaceChildren(
      button("First", page > 0 ? 0 : -1),
      button("Previous", page - 1),
      element("span", {}, `Page ${page + 1} of ${pages.toLocaleString("en")}`),
      button("Next", page + 1),
      button("Last", page < pages - 1 ? pages - 1 : -1),
    );
  }

  async #turn(page) {
    this.offset = page * PAGE;
    await this.load();
    const table = this.body.querySelector("table");
    table?.focus();
    table?.scrollIntoView();
    announce(`Page ${page + 1}`);
  }
}

function tableOf(recordings) {
  const head = ["Recording", "Scene", "Probability", "Duration"].map((text) => element("th", { scope: "col" }, text));
  return element(
    "table",
    { class: "archive", tabindex: "-1" },
    element("caption", { class: "hidden" }, "Recordings of the archive"),
    element("thead", {}, element("tr", {}, head)),
    element("tbody", {}, recordings.map(rowOf)),
  );
}

function rowOf(recording) {
  const { number, source, error, score } = recording;
  const name = baseName(source);
  const folder = source.slice(0, source.length - name.length);
  const link = element("a", { href: `#/archive/${number}` }, readable(name));
  return element(
    "tr",
    { class: error ? "failed" : null },
    element("th", { scope: "row" }, link, element("span", { class: "muted path" }, readable(folder))),
    error
      ? element("td", { colspan: "3" }, element("span", { class: "tag warning" }, "failed"), " ", element("span", { class: "muted" }, readable(error.message.replace(`${source}: `, ""))))
      : [
          element("td", {}, sceneText(recording), flags(recording)),
          element("td", { class: "number" }, score === null ? "–" : [probability(score), scoreBar(score)]),
          element("td", { class: "number" }, recording.duration === null ? "–" : duration(recording.duration)),
        ],
  );
}

export function showRecording(container, number) {
  const path = `v1/archive/${encodeURIComponent(number)}`;
  const title = heading("Recording");
  const facts = element("p", { class: "muted facts" });
  const body = element("div", { class: "result" }, element("p", { class: "muted" }, "Loading the result…"));
  const back = element("a", { class: "back", href: last.address || "#/archive" }, icon("back"), "Archive");
  const neighbours = element("nav", { class: "actions", "aria-label": "Neighbours in the list" });
  container.append(back, element("div", { class: "view-head" }, element("div", {}, title, facts), neighbours), body);
  showNeighbours(neighbours, number);
  setTitle("Recording");
  const view = { viewer: null, closed: false, close: () => ((view.closed = true), view.viewer?.close()) };
  fillRecording(view, { path, number, title, facts, body });
  return view;
}

async function fillRecording(view, { path, number, title, facts, body }) {
  const [{ value: prediction, error }, viewer] = await Promise.all([ask("GET", path), loadViewer()]);
  if (view.closed) return;
  if (error?.type === "not_found") setTitle((title.textContent = "Not found"));
  if (error) return void body.replaceChildren(failurePanel(error));
  const name = readable(baseName(prediction.source));
  title.textContent = name;
  setTitle(name);
  facts.textContent = readable([prediction.source, prediction.system].filter(Boolean).join(" · "));
  if (prediction.error) return void body.replaceChildren(failurePanel(prediction.error));
  if (!viewer) return void body.replaceChildren(failurePanel({ type: "offline", message: "The files of the page could not be loaded." }));
  const [hasMedia, models] = await Promise.all([isMediaThere(number, prediction.source), modelsOf(prediction)]);
  if (view.closed) return;
  body.replaceChildren();
  view.viewer = viewer.showViewer(body, {
    name,
    prediction,
    models,
    mediaUrl: hasMedia ? address(`${path}/media`) : null,
    previewUrl: hasMedia ? address(`${path}/preview`) : null,
    thumbnailsUrl: hasMedia ? address(`${path}/thumbnails.jpg`) : null,
    downloads: downloadsOf(path),
  });
}

/** Return what the models of a prediction need, as far as they are systems of their own or the system needs one modality. */
async function modelsOf({ system, segments }) {
  const { value } = await askOnce("v1/systems");
  const needs = Object.fromEntries((value?.systems ?? []).map((entry) => [entry.name, entry.needs]));
  const names = Object.keys(segments[0]?.by_model ?? {});
  const known = names.map((name) => [name, needs[name] ?? (needs[system] === "both" ? undefined : needs[system])]);
  return Object.fromEntries(known.filter(([, need]) => need));
}

/** Return whether the server has the media of a recording: lists say so, results do not. */
async function isMediaThere(number, source) {
  const isIt = (recording) => String(recording.number) === number;
  const known = last.recordings.find(isIt);
  if (known) return known.has_media;
  const { value } = await ask("GET", "v1/archive", { parameters: { search: source, limit: 200 } });
  return value?.recordings.find(isIt)?.has_media ?? false;
}

/** Fill `nav` with links to the recordings before and after one in the list that was shown last. */
async function showNeighbours(nav, number) {
  const index = last.recordings.findIndex((recording) => String(recording.number) === number);
  if (index < 0) return;
  const { parameters } = last;
  const position = Number(parameters.offset) + index;
  const [offset, limit] = [Math.max(0, position - 1), position ? 3 : 2];
  const { value } = await ask("GET", "v1/archive", { parameters: { ...parameters, offset, limit } });
  if (!value) return;
  const at = value.recordings.findIndex((recording) => String(recording.number) === number);
  const link = (recording, text) => recording && element("a", { class: "button", href: `#/archive/${recording.number}`, title: baseName(recording.source) }, text);
  nav.append(...[link(value.recordings[at - 1], "Previous"), link(value.recordings[at + 1], "Next")].filter(Boolean));
  last = { ...last, recordings: value.recordings, parameters: { ...parameters, offset } };
}
