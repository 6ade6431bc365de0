// Show the result of one recording: its scene, a player with a timeline, its spans, and downloads.

import { element } from "../dom.js";
import { duration, readable } from "../format.js";
import { barsCard } from "./bars.js";
import { headline, isUnsure, mismatchSpans, readRecording, recordingScenes, sceneSpans, usedModalities } from "./data.js";
import { listenToKeys } from "./keyboard.js";
import { isUnfamiliar, mismatchLines, unfamiliarLines } from "./notes.js";
import { Player } from "./player.js";
import { fetchPreview } from "./preview.js";
import { SpansTable } from "./spans.js";
import { shownName, swatch } from "./swatch.js";
import { Timeline } from "./timeline.js";
import { loadImage, thumbnailsTrack } from "./tracks/thumbnails.js";
import { waveformTrack } from "./tracks/waveform.js";

await loadStyle();

const NO_PREVIEW = "There are no thumbnails and no waveform of this recording.";
const MEANINGS = {
  unsure: "Unsure: the most probable scene has less than 50%, or leads the next one by less than 10%.",
  unknown: "Unknown: no scene is probable enough for the risk that was asked for.",
};

// Show a prediction in `container` until close() is called. `models` is what each model needs, by its name; the URLs
// may be null; `downloads` are {label, url}.
export function showViewer(container, { name, prediction, models = {}, mediaUrl, previewUrl, thumbnailsUrl, downloads = [] }) {
  const recording = readRecording(prediction, models);
  const shown = { name: readable(name), prediction, models, recording, mediaUrl, previewUrl, thumbnailsUrl };
  const ending = new AbortController();
  const view = element("article", { class: "viewer" }, header(shown, downloads));
  container.replaceChildren(view);
  const end = recording.isPhotograph ? showPhotograph(view, shown) : showRecording(view, shown, ending.signal);
  return {
    close() {
      ending.abort();
      end();
      view.remove();
    },
  };
}

function header({ prediction, models, recording }, downloads) {
  const scenes = recordingScenes(recording);
  const states = statesOf(recording, scenes);
  const used = recording.isPhotograph ? "" : `, from ${usedModalities(prediction, models).join(" and ")}`;
  const tags = states.map((state) => element("span", { class: `tag${state === "several scenes" ? "" : " warning"}` }, state));
  const title = element("h2", { class: "v-answer" }, answer(recording, scenes));
  const summary = element("div", { class: "v-facts" }, element("span", { class: "muted" }, duration(prediction.duration) + used), tags);
  const links = downloads.map(({ label, url }) => element("a", { class: "button small", href: url, download: true }, label));
  const saved = links.length > 0 && element("div", { class: "v-downloads", role: "group", "aria-label": "Download" }, element("span", { class: "muted" }, "Download"), links);
  return element("header", { class: "v-head" }, element("div", {}, title, summary), saved, notes(recording, states, prediction.warnings));
}

function notes(recording, states, warnings) {
  const meanings = states.map((state) => MEANINGS[state]).filter(Boolean);
  const mismatches = mismatchLines(recording);
  const lines = [...meanings, ...unfamiliarLines(recording), ...mismatches, ...warnings];
  const weight = mismatches.at(-1); // of the lines before it
  const items = lines.map((line) => element("li", { class: line === weight ? "v-weight" : null }, readable(line)));
  const isSerious = states.includes("mismatch") || states.includes("unfamiliar");
  return lines.length > 0 && element("ul", { class: `v-notes${isSerious ? " warning" : ""}`, "aria-label": "Notes" }, items);
}

// Return the scenes of the heading with their colors; the words are those of headline().
function answer(recording, scenes) {
  if (!scenes.length) return [swatch(-1), headline(recording)];
  const named = (scene, text) => element("span", { class: "v-answer-scene" }, swatch(recording.labels.indexOf(scene)), text);
  if (scenes.length > 1) return scenes.map((scene, i) => named(scene, shownName(scene) + (i < scenes.length - 1 ? ", " : "")));
  const rest = headline(recording).slice(scenes[0].length).replace(", unsure", "");
  return [named(scenes[0], shownName(scenes[0]) + rest)];
}

// Return the states of reports/recordings/counts.py in the words of the page of recordings.
function statesOf(recording, scenes) {
  return [
    scenes.length > 1 && "several scenes",
    scenes.length === 0 && "unknown",
    isUnsure(recording, scenes) && "unsure",
    isUnfamiliar(recording) && "unfamiliar",
    mismatchSpans(recording).length > 0 && "mismatch",
  ].filter(Boolean);
}

function showPhotograph(view, { name, recording, mediaUrl }) {
  const gone = "The file of this photograph is not on the server, so it cannot be shown.";
  const media = mediaUrl ? element("img", { src: mediaUrl, alt: `The photograph ${name}` }) : element("p", { class: "v-player-note" }, gone);
  media.addEventListener("error", () => media.replaceWith(element("p", { class: "v-player-note" }, "This browser cannot show the format of this photograph.")));
  view.append(element("div", { class: "v-columns photograph" }, element("div", { class: "v-player photograph" }, media), element("div", { class: "v-side" }, barsCard(recording, "Probabilities"))));
  return () => {};
}

function showRecording(view, { name, prediction, recording, mediaUrl, previewUrl, thumbnailsUrl }, signal) {
  const kind = prediction.modalities.video ? "video" : "audio";
  const player = new Player({ kind, url: mediaUrl, name, duration: recording.duration });
  const timeline = new Timeline(recording, player);
  const spans = sceneSpans(recording, { byMismatch: true });
  const table = new SpansTable(spans, { tenths: recording.tenths, onSeek: (time) => player.seek(time) });
  const side = element("div", { class: "v-side" }, table.element, barsCard(recording, "Whole recording"));
  view.append(element("div", { class: `v-columns ${kind}` }, element("div", { class: "v-main" }, player.element, timeline.element), side));
  player.onChange((isPlaying) => {
    timeline.update(isPlaying);
    table.show(player.time, isPlaying);
    if (!isPlaying) timeline.readout.readOut(player.time);
  });
  listenToKeys({ recording, spans, player, axis: timeline.axis, slider: timeline.slider, root: view.closest("main") ?? view, signal });
  table.show(0);
  timeline.start();
  if (previewUrl) addPreview(timeline, previewUrl, thumbnailsUrl, signal);
  return () => {
    timeline.close();
    player.close();
  };
}

async function addPreview(timeline, previewUrl, thumbnailsUrl, signal) {
  timeline.showPending("Preparing thumbnails and waveform …");
  try {
    const preview = await fetchPreview(previewUrl, signal);
    if (preview?.thumbnails && thumbnailsUrl) {
      const sprite = await loadImage(thumbnailsUrl).catch(() => null);
      if (sprite && !signal.aborted) timeline.addTrack(thumbnailsTrack(timeline.axis, sprite, preview.thumbnails));
    }
    if (preview?.peaks && !signal.aborted) {
      timeline.addTrack(waveformTrack(timeline.axis, () => timeline.palette, { peaks: preview.peaks, duration: preview.duration }));
    }
    if (!signal.aborted) timeline.showPending(preview && !preview.error ? null : NO_PREVIEW);
  } catch {
    if (!signal.aborted) timeline.showPending(NO_PREVIEW);
  }
}

// Add the style of the view to the page, and wait for it.
function loadStyle() {
  const link = element("link", { rel: "stylesheet", href: new URL("../../viewer.css", import.meta.url).href });
  const loaded = new Promise((resolve) => (link.onload = link.onerror = resolve));
  document.head.append(link);
  return loaded;
}
