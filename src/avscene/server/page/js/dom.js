// Build elements from texts, never from markup; name icons; ask for confirmation; announce changes to screen readers.

import { readable } from "./format.js";

const ICONS = {
  audio: "M3 10v4m4.5-8v12M12 3v18m4.500-14v10M21 10v4",
  video: "M3.500 6h11v12h-11zM14.500 10.500l6-3.500v10l-6-3.500",
  again: "M19.500 12a7.500 7.500 0 11-2.200-5.300L20 9.500M20 4.500v5h-5",
  upload: "M12 16V4.500m0 0L7 9.500m5-5l5 5M4 16v3.500h16V16",
  delete: "M4 7h16M9.500 7V4.500h5V7M6 7l1 13h10l1-13M10 11v5.500m4-5.500v5.500",
  close: "M6 6l12 12M18 6L6 18",
  back: "M11 5l-7 7 7 7M4 12h16",
  warning: "M12 3.500L2.500 20h19zM12 10v4.500m0 2.500v.5",
  light: "M12 8a4 4 0 100 8 4 4 0 000-8zM12 2v2.500m0 15V22M2 12h2.500m15 0H22M5 5l1.700 1.700m10.600 10.600L19 19M5 19l1.700-1.700M17.300 6.700L19 5",
  dark: "M20 14.500A8.500 8.500 0 019.500 4a8.500 8.500 0 1010.500 10.500z",
};

/** Return an element; attributes that are null or false are left out, `onNAME` adds a listener, children may be texts. */
export function element(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else node.setAttribute(name, value === true ? "" : value);
  }
  node.append(...children.flat(2).filter((child) => child !== null && child !== undefined && child !== false && child !== ""));
  return node;
}

/** Return a decorative icon; the text beside it, or the label of its button, names it. */
export function icon(name) {
  const namespace = "http://www.w3.org/2000/svg";
  const svg = document.createElementNS(namespace, "svg");
  for (const [key, value] of Object.entries({ viewBox: "0 0 24 24", "aria-hidden": "true", focusable: "false", class: "icon" })) {
    svg.setAttribute(key, value);
  }
  const path = document.createElementNS(namespace, "path");
  path.setAttribute("d", ICONS[name]);
  svg.append(path);
  return svg;
}

/** Return the heading of a view, which takes the focus when the route changes. */
export function heading(text) {
  return element("h1", { tabindex: "-1", dir: "auto" }, text);
}

export function setTitle(text) {
  document.title = text ? `${text} – avscene` : "avscene";
}

/** Give a text to screen readers; for events, not for every step of a progress. */
export function announce(text) {
  const region = document.getElementById("announcements");
  region.textContent = "";
  setTimeout(() => (region.textContent = text), 50); // an equal text would not be read again otherwise
}

/** Return a button with an icon and a label that is read but not shown. */
export function iconButton(name, label, onclick) {
  return element("button", { type: "button", class: "icon-button", "aria-label": label, title: label, onclick }, icon(name));
}

/**
 * Show a modal dialog; return a promise of the value of the button that closed it, "" for Escape.
 *
 * A button with the value "" only closes, so that Enter in a field chooses the other one.
 */
export function showDialog(title, content, buttons, attributes = {}) {
  const form = element("form", { method: "dialog" });
  const dialog = element("dialog", { "aria-labelledby": "dialog-title", ...attributes }, form);
  form.append(
    element("h2", { id: "dialog-title" }, title),
    ...content,
    element(
      "div",
      { class: "actions" },
      buttons.map(({ label, value, kind }) => (value ? element("button", { value, class: kind }, label) : element("button", { type: "button", onclick: () => dialog.close("") }, label))),
    ),
  );
  document.body.append(dialog);
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => {
      dialog.remove();
      resolve(dialog.returnValue);
    });
  });
}

/** Show what did not work, until it is closed. */
export function showProblem(title, message) {
  return showDialog(title, [element("p", {}, readable(message))], [{ label: "Close", value: "close" }]);
}

/** Ask before a recording is deleted; one that is not finished is stopped. */
export async function confirmDeletion(name, isDone) {
  const text = isDone
    ? "Its media and its result are removed from the server. This cannot be undone."
    : "Its classification ends, and its media is removed from the server.";
  const label = isDone ? "Delete" : "Stop and delete";
  const buttons = [{ label: "Keep", value: "" }, { label, value: "delete", kind: "danger" }];
  return (await showDialog(`${label} ${readable(name)}?`, [element("p", {}, text)], buttons)) === "delete";
}
