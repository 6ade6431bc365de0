// Begin the classification of files with the chosen settings, and show where it can be followed.

import { askOnce } from "./api.js";
import { announce } from "./dom.js";
import { count } from "./format.js";
import { chosenSettings } from "./systems.js";
import { uploads } from "./upload.js";

/** Classify files with the chosen settings; one file alone opens its own view, several are followed in the list. */
export async function classifyFiles(files) {
  if (document.activeElement?.id === "scene-input") document.activeElement.blur(); // takes the name that is typed there
  const [{ problem, ...settings }, { value: limits }] = await Promise.all([chosenSettings(), askOnce("v1/limits")]);
  if (problem) {
    refuse(problem);
    return;
  }
  const wasBusy = uploads.isBusy;
  const added = uploads.add(files, settings, limits);
  announce(added.length === 1 ? `${added[0].file.name}: upload begins` : `${count(added.length, "upload")} begin`);
  if (added.length > 1 || wasBusy || added[0].state === "refused") {
    location.hash = "#/";
    setTimeout(() => document.querySelector(".recordings")?.scrollIntoView({ block: "start" }), 100); // after the view is there
    return;
  }
  const open = ({ upload }) => {
    if (upload !== added[0] || (!upload.job && upload.state !== "refused" && upload.state !== "cancelled")) return;
    uploads.removeEventListener("change", open);
    if (upload.job) location.hash = `#/job/${upload.job.id}`;
  };
  uploads.addEventListener("change", open);
}

function refuse(problem) {
  location.hash = "#/";
  const place = document.querySelector(".drop .problem");
  if (place) place.textContent = problem;
  announce(problem);
}
