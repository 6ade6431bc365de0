// Show one recording of the list: its name, its scene or its progress, and what can be done with it.

import { announce, element, icon, iconButton } from "./dom.js";
import { date, duration, fileSize, probability, readable, sceneName, shortTime, timeLeft } from "./format.js";
import { systemName } from "./systems.js";

/** Return `{ node, update(job, upload) }`; an upload that the server does not know yet has no job. */
export function recordingRow({ onDelete, onCancel, onRetry }) {
  const node = element("li", { class: "recording" });
  let shown = "";
  let progress = null;
  const update = (job, upload) => {
    const state = upload ? `upload-${upload.state}` : `${job.state}-${job.attempts}`;
    if (state !== shown) {
      const hadFocus = node.contains(document.activeElement);
      shown = state;
      progress = upload ? uploadProgress(upload) : jobProgress(job);
      const name = upload ? upload.file.name : job.name;
      node.dataset.state = upload ? "upload" : job.state;
      node.replaceChildren(
        element("div", { class: "what" }, nameOf(name, upload?.state === "refused" ? null : job), element("p", { class: "muted" }, upload ? uploadDetails(upload) : details(job))),
        progress?.node ?? (upload ? refusedUpload(upload) : outcome(job)),
        buttons(name, job, upload),
      );
      if (hadFocus) node.querySelector("a, button")?.focus();
    }
    progress?.update(upload ?? job);
  };
  const buttons = (name, job, upload) => {
    if (upload?.state === "refused") {
      const again = element("button", { type: "button", class: "small", onclick: () => onRetry(upload) }, "Try again");
      const isFinal = upload.error.type === "too_large" || upload.error.type === "unsupported" || upload.file.size === 0;
      return element("div", { class: "row-actions" }, !isFinal && again, iconButton("close", `Remove ${name} from the list`, () => onCancel(upload)));
    }
    if (upload) return element("div", { class: "row-actions" }, iconButton("close", `Cancel the upload of ${name}`, () => onCancel(upload)));
    const isActive = job.state !== "done" && job.state !== "failed";
    const label = isActive ? `Cancel and delete ${name}` : `Delete ${name}`;
    return element("div", { class: "row-actions" }, iconButton(isActive ? "close" : "delete", label, () => onDelete(job)));
  };
  return { node, update };
}

function nameOf(given, job) {
  const name = readable(given);
  return element("h3", {}, job ? element("a", { href: `#/job/${job.id}`, title: name, dir: "auto" }, name) : element("span", { title: name, dir: "auto" }, name));
}

function uploadDetails(upload) {
  return [fileSize(upload.file.size), systemName(upload.settings.system)].join(" · ");
}

/** Return the line of facts about a job, as texts and elements. */
export function details(job) {
  const parts = [job.duration === null ? null : duration(job.duration), job.size ? fileSize(job.size) : null, systemName(job.system)];
  if (job.labels) parts.push(`${job.labels.length} own scenes`);
  return [parts.filter(Boolean).join(" · "), " · ", element("time", { datetime: job.created }, date(job.created))];
}

/** Return the scenes of a finished job with its probability and what must be known of it. */
export function outcome(job) {
  if (job.state === "failed") {
    return element("div", { class: "outcome failed" }, element("p", { class: "scene" }, icon("warning"), "Failed"), element("p", { class: "muted message" }, (job.error?.message ?? "").replace(`${job.name}: `, "")));
  }
  return element(
    "div",
    { class: "outcome" },
    element("p", { class: "scene" }, sceneText(job), hasOneScore(job) && element("span", { class: "probability" }, probability(job.score))),
    hasOneScore(job) && scoreBar(job.score),
    flags(job),
  );
}

// The probabilities of a recording are means over time: where scenes follow each other, they say little about any.
const hasOneScore = (job) => job.score !== null && !(job.scenes?.length > 1);

export function sceneText({ scenes, scene }) {
  const names = scenes?.length ? scenes : scene ? [scene] : [];
  return element("strong", {}, names.length ? names.map(sceneName).join(", ") : "no scene");
}

export function scoreBar(score) {
  if (score === null || score === undefined) return null;
  const part = element("span", {});
  part.style.width = `${100 * score}%`;
  return element("span", { class: "score", "aria-hidden": "true" }, part);
}

/** Return tags of a recording: what it lacks, and what makes its result doubtful. */
export function flags({ unsure, mismatch, unfamiliar, modalities, duration: seconds }) {
  const missing = modalities && seconds !== 0 && !(modalities.audio && modalities.video) ? (modalities.audio ? "no video" : modalities.video ? "no audio" : null) : null;
  const texts = [unsure && "unsure", unfamiliar && "unfamiliar", missing].filter(Boolean).map((text) => element("span", { class: "tag" }, text));
  if (mismatch) texts.unshift(element("span", { class: "tag warning" }, "mismatch"));
  return texts.length > 0 && element("p", { class: "tags" }, texts);
}

/** Return what the state of a job is called. */
export function stateText(job) {
  if (job.state === "waiting") return "Waiting for its upload";
  if (job.state === "queued") return job.position ? `Queued: ${job.position} before it` : "Queued: next";
  if (job.duration === null || job.duration === 0) return job.reached ? `Classifying: ${shortTime(job.reached)}` : "Reading";
  return `Classifying: ${shortTime(job.reached)} of ${shortTime(job.duration)}`;
}

/** Return `{ node, update(job) }` of a job that is not finished, else null. */
export function jobProgress(job) {
  if (job.state === "done" || job.state === "failed") return null;
  return progressBlock(`Progress of ${job.name}`, (now, elapsed) => ({
    text: stateText(now) + (now.state === "running" && now.attempts > 1 ? ` (attempt ${now.attempts} of 3)` : ""),
    left: now.seconds_left === null ? "" : timeLeft(Math.max(0, now.seconds_left - elapsed)),
    share: now.state === "running" && now.duration ? Math.min(1, now.reached / now.duration) : null,
    isIdle: now.state !== "running",
  }));
}

/** Return `{ node, update(upload) }` of an upload that is not refused, else null. */
export function uploadProgress(upload) {
  if (upload.state === "refused" || upload.state === "cancelled") return null;
  return progressBlock(`Upload of ${upload.file.name}`, (now) => ({
    text: uploadText(now),
    left: now.state === "sending" && now.secondsLeft !== null ? timeLeft(now.secondsLeft) : "",
    share: now.state === "sending" ? now.loaded / now.file.size : null,
    isIdle: now.state !== "sending",
  }));
}

function uploadText(upload) {
  if (upload.state === "waiting") return "Waits for other uploads";
  if (upload.state === "sending") return `Uploading: ${fileSize(upload.loaded)} of ${fileSize(upload.file.size)}`;
  const cause = upload.error.type === "offline" ? "Interrupted" : "The queue is full";
  const seconds = Math.ceil((upload.until - Date.now()) / 1000);
  return seconds > 0 ? `${cause}: tries again in ${seconds} s` : `${cause}: waits for the server`;
}

/** Return `{ node, update(value) }`; between updates, times count down: `describe(value, elapsed)` gets seconds. */
function progressBlock(label, describe) {
  const text = element("span", {});
  const left = element("span", { class: "muted" });
  const bar = element("progress", { max: "1", "aria-label": label });
  const node = element("div", { class: "progress" }, element("p", {}, text, left), bar);
  let [latest, since, clock] = [null, 0, 0];
  const show = () => {
    const state = describe(latest, (performance.now() - since) / 1000);
    text.textContent = state.text;
    left.textContent = state.left;
    bar.classList.toggle("idle", state.isIdle);
    if (state.share === null) bar.removeAttribute("value");
    else bar.value = state.share;
  };
  const update = (now) => {
    [latest, since] = [now, performance.now()];
    show();
    clearInterval(clock);
    clock = setInterval(() => (node.isConnected ? show() : clearInterval(clock)), 1000);
  };
  return { node, update };
}

function refusedUpload(upload) {
  return element("div", { class: "outcome failed" }, element("p", { class: "scene" }, icon("warning"), "Not uploaded"), element("p", { class: "muted message" }, upload.error?.message ?? ""));
}

let [ended, pause] = [[], 0];

/** Announce the end of a job; of several within a short time, only their number. */
export function announceEnd(job) {
  ended.push(job);
  clearTimeout(pause);
  pause = setTimeout(() => {
    const failed = ended.filter(({ state }) => state === "failed").length;
    const text = ended.length === 1 ? endText(job) : `${ended.length} recordings are finished, ${failed} of them failed`;
    ended = [];
    announce(text);
  }, 1000);
}

function endText(job) {
  if (job.state === "failed") return `${job.name}: failed`;
  const scenes = (job.scenes?.length ? job.scenes : [job.scene ?? "no scene"]).map(sceneName).join(", ");
  return `${job.name}: ${scenes}${hasOneScore(job) ? `, ${probability(job.score)}` : ""}`;
}
