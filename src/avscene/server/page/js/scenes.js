// Let a person type the scenes of a zero-shot system: removable names, a count, and what is wrong with them.

import { announce, element, icon } from "./dom.js";
import { count } from "./format.js";

const SEPARATORS = /[,;\n\t]+/;
const [MAX_NAMES, MAX_LENGTH] = [200, 100]; // of the server

/** Return the distinct names in a text that a person typed or pasted, and those that are there already. */
export function readNames(text, known = []) {
  const key = (name) => name.replaceAll("_", " ").toLowerCase();
  const taken = new Set(known.map(key));
  const [names, repeated] = [[], []];
  for (const name of text.split(SEPARATORS).map((part) => part.trim().replace(/\s+/g, " ")).filter(Boolean)) {
    (taken.has(key(name)) ? repeated : names).push(name);
    taken.add(key(name));
  }
  return { names, repeated };
}

/** Return what is wrong with these scenes, or "". */
export function problemWith(names) {
  if (names.length < 2) return "Name at least two scenes: the system chooses between them.";
  if (names.length > MAX_NAMES) return `Name at most ${MAX_NAMES} scenes.`;
  const long = names.find((name) => name.length > MAX_LENGTH);
  return long ? `${long.slice(0, 20)}…: shorten this name to at most ${MAX_LENGTH} characters.` : "";
}

/** Return `{ node, complete() }`: an editor of scene names that calls `onChange(names)`. */
export function scenesEditor(initial, onChange) {
  let names = [...initial];
  const list = element("ul", { class: "chips", role: "list", "aria-label": "Scenes" });
  const input = element("input", {
    id: "scene-input", type: "text", autocomplete: "off", autocapitalize: "none", maxlength: "2000", enterkeyhint: "done",
    placeholder: "for example: beach, kitchen, busy street", "aria-describedby": "scene-help scene-problem",
  });
  const total = element("output", { class: "count", for: "scene-input" });
  const problem = element("p", { class: "problem", id: "scene-problem", role: "status" });
  const clear = element("button", { type: "button", class: "link", onclick: () => set([], "All scenes removed") }, "Remove all");

  const chip = (name) =>
    element(
      "li",
      { class: "chip" },
      element("span", {}, name),
      element("button", { type: "button", "aria-label": `Remove ${name}`, title: `Remove ${name}`, onclick: () => remove(name) }, icon("close")),
    );
  const set = (next, text) => {
    names = next;
    list.replaceChildren(...names.map(chip));
    list.hidden = clear.hidden = names.length === 0;
    total.textContent = count(names.length, "scene");
    problem.textContent = problemWith(names);
    if (text) announce(`${text}. ${total.textContent}.`);
    onChange(names);
  };
  const remove = (name) => {
    set(names.filter((other) => other !== name), `${name} removed`);
    input.focus();
  };
  const complete = () => {
    const { names: added, repeated } = readNames(input.value, names);
    if (!added.length && !repeated.length) return;
    input.value = "";
    set([...names, ...added], added.length ? `${added.join(", ")} added` : "");
    if (repeated.length) problem.textContent = `${repeated.join(", ")}: in the list already.`;
  };
  input.addEventListener("keydown", (event) => {
    if (event.isComposing) return;
    if (event.key === "Enter" || event.key === "," || event.key === ";") {
      event.preventDefault();
      complete();
    } else if (event.key === "Backspace" && input.value === "" && names.length) {
      set(names.slice(0, -1), `${names.at(-1)} removed`);
    }
  });
  input.addEventListener("paste", (event) => {
    const text = event.clipboardData.getData("text");
    if (!SEPARATORS.test(text)) return;
    event.preventDefault();
    input.value += text;
    complete();
  });
  input.addEventListener("change", complete); // also when the focus leaves it

  const node = element(
    "div",
    { class: "scenes" },
    element("div", { class: "label-line" }, element("label", { for: "scene-input" }, "Scenes to choose between"), total),
    list,
    input,
    element("p", { class: "help", id: "scene-help" }, "Press Enter or a comma after each name, or paste a list. English works best. ", clear),
    problem,
  );
  set(names);
  return { node, complete };
}
