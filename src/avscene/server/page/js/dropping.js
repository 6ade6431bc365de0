// Take files that are dropped anywhere, pasted or picked, and folders with all that is in them.

import { element } from "./dom.js";

/** Call `onFiles(files)` for what is dropped or pasted anywhere on the page. */
export function listenForFiles(onFiles) {
  const veil = element("div", { class: "veil", hidden: true, "aria-hidden": "true" }, element("p", {}, "Drop to classify"));
  document.body.append(veil);
  let depth = 0; // of dragenter events: children enter before their parents leave
  const hasFiles = (event) => [...(event.dataTransfer?.types ?? [])].includes("Files");
  const hide = () => {
    depth = 0;
    veil.hidden = true;
  };
  addEventListener("dragenter", (event) => {
    if (!hasFiles(event) || document.querySelector("dialog[open]")) return;
    depth += 1;
    veil.hidden = false;
  });
  addEventListener("dragleave", (event) => {
    if (!hasFiles(event)) return;
    depth -= 1;
    if (depth <= 0) hide();
  });
  addEventListener("dragover", (event) => {
    if (hasFiles(event)) event.preventDefault();
  });
  addEventListener("drop", async (event) => {
    if (!hasFiles(event)) return;
    event.preventDefault(); // the browser would open the file in place of the page
    hide();
    if (document.querySelector("dialog[open]")) return;
    const files = await filesOf(event.dataTransfer);
    if (files.length) onFiles(files);
  });
  addEventListener("paste", (event) => {
    const files = [...(event.clipboardData?.files ?? [])];
    if (files.length) onFiles(files);
  });
}

/** Return the files of a drop; hidden files in folders are left out. */
async function filesOf(transfer) {
  const entries = [...transfer.items].map((item) => item.webkitGetAsEntry?.()).filter(Boolean);
  if (!entries.some((entry) => entry.isDirectory)) return [...transfer.files];
  const nested = await Promise.all(entries.map(filesIn));
  return nested.flat();
}

async function filesIn(entry) {
  if (entry.name.startsWith(".")) return [];
  if (entry.isFile) return [await new Promise((resolve, reject) => entry.file(resolve, reject))];
  const reader = entry.createReader();
  const children = [];
  for (;;) {
    const some = await new Promise((resolve, reject) => reader.readEntries(resolve, reject)); // at most 100 a call
    if (!some.length) break;
    children.push(...some);
  }
  children.sort((a, b) => a.name.localeCompare(b.name, "en", { numeric: true }));
  return (await Promise.all(children.map(filesIn))).flat();
}
