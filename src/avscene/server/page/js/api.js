// Ask the server; return errors as values, and notice when it is gone, when it is back and when a sign-in is needed.

export const connection = new EventTarget(); // events: lost, back, unauthorized
const RETRY = 3000; // ms between two questions whether the server is back

let isLost = false;

/** Return the address of a path of the API with query parameters; those that are empty are left out. */
export function address(path, parameters = {}) {
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(parameters)) {
    if (value !== null && value !== undefined && value !== "") query.set(name, value);
  }
  const url = new URL(path, document.baseURI); // relative: the page also works below a prefix of a proxy
  url.hash = "";
  url.search = query.toString();
  return url.href;
}

/**
 * Return `{ value }`, or `{ error: { type, message, status, retryAfter } }`; never throws.
 *
 * The type "offline" is an answer that did not come; "aborted", one that `signal` gave up.
 */
export async function ask(method, path, { parameters, json, signal } = {}) {
  const options = { method, signal, headers: {}, credentials: "same-origin", cache: "no-store" };
  if (json !== undefined) {
    options.headers["Content-Type"] = "application/json";
    options.body = JSON.stringify(json);
  }
  try {
    const response = await fetch(address(path, parameters), options);
    noteAnswer();
    if (!response.ok) return { error: errorOf(response.status, await response.text(), response.headers.get("Retry-After")) };
    if (response.status === 204) return { value: null, status: 204 };
    return { value: await response.json(), status: response.status };
  } catch (problem) {
    if (problem.name === "AbortError") return { error: { type: "aborted", message: "aborted", status: 0 } };
    return { error: noteLoss() };
  }
}

/** Return `{ value }` with the File at a path of the API, or `{ error }`. */
export async function askForFile(path, name) {
  try {
    const response = await fetch(address(path), { cache: "no-store" });
    if (!response.ok) return { error: errorOf(response.status, await response.text(), null) };
    const blob = await response.blob();
    return { value: new File([blob], name, { type: blob.type }) };
  } catch {
    return { error: noteLoss() };
  }
}

/** Return the error of an answer with this status and text. */
export function errorOf(status, text, retryAfter) {
  let error = null;
  try {
    error = JSON.parse(text).error;
  } catch {} // not by this server, for example by a proxy
  if (status === 401) connection.dispatchEvent(new Event("unauthorized"));
  const type = error?.type ?? (status === 413 ? "too_large" : status === 429 || status === 503 ? "busy" : "server");
  const message = error?.message ?? `The server answered with status ${status}.`;
  return { type, message, status, retryAfter: Number(retryAfter) || null };
}

/** Note that an answer did not come, and ask until one does. */
export function noteLoss() {
  if (!isLost) {
    isLost = true;
    connection.dispatchEvent(new Event("lost"));
    setTimeout(askAgain, RETRY);
  }
  return { type: "offline", message: "The server does not answer.", status: 0, retryAfter: null };
}

function noteAnswer() {
  if (!isLost) return;
  isLost = false;
  connection.dispatchEvent(new Event("back"));
}

async function askAgain() {
  try {
    await fetch(address("healthz"), { cache: "no-store" });
    noteAnswer();
  } catch {
    setTimeout(askAgain, RETRY);
  }
}

/** Return a promise that is kept when the server answers: at once unless it is known to be gone. */
export function untilBack() {
  if (!isLost) return Promise.resolve();
  return new Promise((resolve) => connection.addEventListener("back", resolve, { once: true }));
}

const remembered = new Map();

/** Return the value of a GET that does not change while the page is open: limits and systems. */
export async function askOnce(path) {
  if (!remembered.has(path)) remembered.set(path, ask("GET", path)); // at once: others may ask before the answer
  const answer = await remembered.get(path);
  if (answer.error) remembered.delete(path);
  return answer;
}

export function forget(path) {
  remembered.delete(path);
}
