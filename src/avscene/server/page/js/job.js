// Show one job: its progress, then its result in the viewer, or why it failed.

import { address, ask, askForFile, askOnce } from "./api.js";
import { classifyFiles } from "./classifying.js";
import { announce, confirmDeletion, element, heading, icon, setTitle, showDialog, showProblem } from "./dom.js";
import { failurePanel } from "./failure.js";
import { readable } from "./format.js";
import { announceEnd, details, jobProgress, uploadProgress } from "./row.js";
import { settingsPanel } from "./systems.js";
import { uploads } from "./upload.js";
import { isFinished, watchJob } from "./watching.js";

const FORMATS = [["JSON", "json"], ["CSV", "csv"], ["WebVTT", "vtt"], ["Audacity labels", "audacity"]];

/** Return the links to the result of a job or of a recording of an archive, in all formats. */
export const downloadsOf = (path) => FORMATS.map(([label, format]) => ({ label, url: address(`${path}/result.${format}`) }));

export function showJob(container, id) {
  const view = new JobView(container, id);
  view.start();
  return view;
}

class JobView {
  #watch = null;
  #viewer = null;
  #closed = false;
  #shown = "";
  #progress = null;

  constructor(container, id) {
    this.id = id;
    this.path = `v1/jobs/${encodeURIComponent(id)}`;
    this.title = heading("Recording");
    this.facts = element("p", { class: "muted facts" });
    this.remove = element("button", { type: "button", onclick: () => this.#delete() }, icon("delete"), "Delete");
    this.again = element("button", { type: "button", onclick: () => this.#classifyAgain() }, icon("again"), "Classify again");
    this.body = element("div", { class: "result" });
    const back = element("a", { class: "back", href: "#/" }, icon("back"), "All recordings");
    container.append(back, element("div", { class: "view-head" }, element("div", {}, this.title, this.facts), element("div", { class: "actions" }, this.again, this.remove)), this.body);
    this.remove.hidden = this.again.hidden = true;
    setTitle("Recording");
    this.onUpload = ({ upload }) => upload.job?.id === id && this.#showUpload(upload);
  }

  async start() {
    const upload = uploads.find(this.id);
    if (upload) {
      uploads.addEventListener("change", this.onUpload);
      this.#name(upload.job);
      this.#showUpload(upload);
      return;
    }
    const { value, error } = await ask("GET", this.path);
    if (this.#closed) return;
    if (error) this.#showError(error);
    else this.#take(value);
  }

  close() {
    this.#closed = true;
    this.#watch?.close();
    this.#viewer?.close();
    uploads.removeEventListener("change", this.onUpload);
  }

  #name(job) {
    this.job = job;
    this.title.textContent = readable(job.name);
    setTitle(this.title.textContent);
    this.facts.replaceChildren(...details(job));
    this.remove.hidden = false;
    this.remove.replaceChildren(icon(isFinished(job) ? "delete" : "close"), isFinished(job) ? "Delete" : "Cancel");
    this.again.hidden = !isFinished(job);
  }

  #showUpload(upload) {
    if (upload.state === "sent") {
      uploads.removeEventListener("change", this.onUpload);
      this.#take(upload.job);
    } else if (upload.state === "cancelled") {
      location.hash = "#/";
    } else if (upload.state === "refused") {
      this.#showError(upload.error, [element("button", { type: "button", onclick: () => this.#retry(upload) }, "Try again")]);
    } else {
      this.#showProgress(`upload-${upload.state}`, () => uploadProgress(upload), upload);
    }
  }

  /** Return the offer to go on with an upload that this window does not make. */
  #interruption(job) {
    const problem = element("p", { class: "problem", role: "alert" });
    const input = element("input", { type: "file", class: "hidden", tabindex: "-1", "aria-label": `The file ${job.name}` });
    input.addEventListener("change", async () => {
      const [file] = input.files;
      const { value: limits } = await askOnce("v1/limits");
      const error = file.name === job.name ? null : { message: `This is ${file.name}, not ${job.name}.` };
      uploads.addEventListener("change", this.onUpload);
      problem.textContent = (error ?? uploads.resume(job, file, limits))?.message ?? "";
    });
    const text = "Its upload is not complete. If no other window goes on with it, choose the file again, or delete the recording.";
    return element("section", { class: "card interruption" }, element("p", {}, text), element("button", { type: "button", onclick: () => input.click() }, "Choose the file"), problem, input);
  }

  /** Try an upload again; it becomes another job, which the list shows. */
  #retry(upload) {
    location.hash = "#/";
    uploads.retry(upload);
  }

  #showProgress(state, make, now) {
    if (state !== this.#shown) {
      this.#shown = state;
      this.#progress = make();
      this.body.replaceChildren(element("section", { class: "card", "aria-label": "Progress" }, this.#progress.node));
    }
    this.#progress.update(now);
  }

  #take(job) {
    const wasActive = this.job && !isFinished(this.job);
    this.#name(job);
    if (wasActive && isFinished(job)) announceEnd(job);
    if (job.state === "done") return void this.#showResult(job);
    if (job.state === "failed") return this.#showFailure(job.error ?? { type: "server", message: "" });
    this.#showProgress(`${job.state}-${job.attempts}`, () => jobProgress(job), job);
    if (job.state === "waiting" && !this.body.querySelector(".interruption")) this.body.append(this.#interruption(job));
    this.#watch ??= watchJob(this.id, { onJob: (next) => this.#take(next), onRemoved: () => this.#showError({ type: "not_found", message: "This recording was deleted." }) });
  }

  async #showResult(job) {
    if (this.#shown === "done") return;
    this.#shown = "done";
    this.body.replaceChildren(element("p", { class: "muted" }, "Loading the result…"));
    const [{ value: prediction, error }, viewer] = await Promise.all([ask("GET", `${this.path}/result.json`), loadViewer()]);
    if (this.#closed) return;
    if (error) return void this.#showError(error);
    if (!viewer) return void this.#showError({ type: "offline", message: "The files of the page could not be loaded." });
    this.body.replaceChildren();
    this.#viewer = viewer.showViewer(this.body, {
      name: job.name,
      prediction,
      models: job.models ?? {},
      mediaUrl: address(`${this.path}/media`),
      previewUrl: address(`${this.path}/preview`),
      thumbnailsUrl: address(`${this.path}/thumbnails.jpg`),
      downloads: downloadsOf(this.path),
    });
  }

  #showFailure(error) {
    const mayHelp = error.type !== "media" && error.type !== "too_large" && error.type !== "unsupported";
    this.again.classList.toggle("primary", mayHelp);
    this.#showError(error);
  }

  #showError(error, actions = []) {
    this.#shown = "error";
    if (error.type === "not_found") {
      this.title.textContent = "Not found";
      setTitle("Not found");
      this.facts.replaceChildren();
      this.remove.hidden = this.again.hidden = true;
    }
    const again = error.type === "offline" && element("button", { type: "button", onclick: () => this.start() }, "Try again");
    this.body.replaceChildren(failurePanel(error, [...actions, again].filter(Boolean)));
  }

  /** Let a person choose other settings, then send the media again: it becomes another recording of the list. */
  async #classifyAgain() {
    const buttons = [{ label: "Cancel", value: "" }, { label: "Classify", value: "classify", kind: "primary" }];
    if (!(await showDialog("Classify again", [settingsPanel()], buttons, { class: "again" }))) return;
    this.again.disabled = true;
    const { value, error } = await askForFile(`${this.path}/media`, this.job.name);
    this.again.disabled = false;
    if (error) showProblem("The media could not be read again", error.message);
    else classifyFiles([value]);
  }

  async #delete() {
    if (!(await confirmDeletion(this.job.name, isFinished(this.job)))) return;
    const upload = uploads.find(this.id);
    if (upload) return uploads.cancel(upload);
    this.#watch?.close();
    const { error } = await ask("DELETE", this.path);
    if (error && error.status !== 404) {
      this.#watch = null;
      this.#take(this.job);
      return void showProblem("The recording was not deleted", error.message);
    }
    announce(`${this.job.name}: deleted`);
    location.hash = "#/";
  }
}

/** Load the viewer when a result is looked at for the first time; null if it cannot be. */
export async function loadViewer() {
  try {
    return await import("./viewer/view.js");
  } catch (problem) {
    console.error(problem);
    return null;
  }
}
