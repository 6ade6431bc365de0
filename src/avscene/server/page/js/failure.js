// Explain errors: what happened, in the words of the server, and what a person can do about it.

import { element, icon } from "./dom.js";
import { readable } from "./format.js";

const ADVICE = {
  media: "Check that the file plays in a media player. If it is damaged or in a rare format, export it again, for example as MP4 (H.264, AAC).",
  modality: "Choose a system that needs only what the file has: some need audio, some video, some both.",
  weights: "Choose a system whose weights are on the server, or ask the person who runs it to download them.",
  checkpoint: "The files of this system are incomplete or changed. Choose another system, or ask the person who runs the server.",
  usage: "Correct the system or the scenes, then try again.",
  too_large: "Cut the recording into parts, or ask the person who runs the server to raise the limit.",
  unsupported: "Drop a video, an audio file or a photograph.",
  busy: "The server has much to do. Try again in a while.",
  timeout: "The recording took longer than the server allows. Try again, or try key frames only.",
  storage: "The disk of the server may be full. Ask the person who runs it.",
  server: "Try again. If it fails again, ask the person who runs the server to look at its log.",
  offline: "Check that avscene serve runs and that this device reaches it.",
  not_found: "It may have been deleted, or removed because its time was over.",
};

const TITLES = {
  media: "The file cannot be read",
  modality: "The file lacks what the system needs",
  weights: "The weights of the system are not here",
  checkpoint: "The system cannot be loaded",
  too_large: "The file is too large",
  unsupported: "This kind of file cannot be classified",
  busy: "The server is busy",
  timeout: "The time was not enough",
  offline: "The server does not answer",
  not_found: "There is no recording here",
};

export const adviceFor = (error) => ADVICE[error.type] ?? ADVICE.server;

/** Return a panel with the title, the message and the advice of an error; `actions` are buttons or links. */
export function failurePanel(error, actions = []) {
  return element(
    "section",
    { class: "card failure", "data-type": error.type },
    element("h2", {}, icon("warning"), TITLES[error.type] ?? "The recording could not be classified"),
    error.type !== "not_found" && element("p", { class: "message" }, readable(error.message)),
    element("p", {}, adviceFor(error)),
    actions.length > 0 && element("div", { class: "actions" }, actions),
  );
}
