// Show the view of the address: #/, #/job/ID, #/archive?QUERY or #/archive/N; keep the bar and the connection in sight.

import { ask, askOnce, connection } from "./api.js";
import { showArchive, showRecording } from "./archive.js";
import { classifyFiles } from "./classifying.js";
import { element, heading, icon, setTitle } from "./dom.js";
import { listenForFiles } from "./dropping.js";
import { showHome } from "./home.js";
import { showJob } from "./job.js";

const ROUTES = [
  [/^\/?$/, (main) => showHome(main), "to-home"],
  [/^\/job\/([\w-]+)$/, (main, [, id]) => showJob(main, id), "to-home"],
  [/^\/archive$/, (main, _, query) => showArchive(main, query), "to-archive"],
  [/^\/archive\/(\d+)$/, (main, [, number]) => showRecording(main, number), "to-archive"],
];

const main = document.getElementById("main");
const positions = new Map(); // where lists were scrolled to, by their addresses
let [view, shown] = [null, ""];

function showRoute(isFirst = false) {
  const left = shown;
  shown = location.hash;
  const [path, query = ""] = location.hash.slice(1).split(/\?(.*)/s);
  const [match, show, link] = ROUTES.map(([pattern, ...rest]) => [pattern.exec(path), ...rest]).find(([found]) => found) ?? [null, showMissing, ""];
  view?.close();
  main.replaceChildren();
  for (const id of ["to-home", "to-archive"]) document.getElementById(id).toggleAttribute("aria-current", false);
  if (link) document.getElementById(link).setAttribute("aria-current", path === "/archive" || path === "/" || path === "" ? "page" : "true");
  view = show(main, match, query);
  if (isFirst) return;
  scrollTo(0, 0);
  main.querySelector("h1")?.focus({ preventScroll: true });
  view.ready?.then(() => returnTo(left));
}

/** Back in a list, scroll to where it was and focus the link to the recording that was left. */
function returnTo(left) {
  const link = [...main.querySelectorAll("a")].find((anchor) => anchor.getAttribute("href") === left);
  if (!link) return;
  scrollTo(0, positions.get(location.hash) ?? 0);
  link.focus({ preventScroll: positions.has(location.hash) });
}

function showMissing(container) {
  setTitle("Not found");
  container.append(heading("There is no page here"), element("p", {}, element("a", { href: "#/" }, "Go to the recordings")));
  return { close() {} };
}

function prepareTheme() {
  const button = document.getElementById("theme");
  const root = document.documentElement;
  const name = () => {
    const other = root.dataset.theme === "dark" ? "light" : "dark";
    button.replaceChildren(icon(other), element("span", {}, other === "dark" ? "Dark" : "Light"));
    button.setAttribute("aria-label", other === "dark" ? "Dark colours" : "Light colours");
  };
  button.addEventListener("click", () => {
    root.dataset.theme = root.dataset.theme === "dark" ? "light" : "dark";
    const isSystem = matchMedia("(prefers-color-scheme: dark)").matches === (root.dataset.theme === "dark");
    try {
      if (isSystem) localStorage.removeItem("avscene.theme");
      else localStorage.setItem("avscene.theme", root.dataset.theme);
    } catch {} // storage may be blocked: the choice then lasts as long as the page
  });
  new MutationObserver(name).observe(root, { attributeFilter: ["data-theme"] });
  name();
}

async function prepareBar() {
  const { value } = await askOnce("v1/limits");
  if (!value) return;
  document.getElementById("to-archive").hidden = !value.archive;
  const out = document.getElementById("sign-out");
  out.hidden = !value.token;
  out.addEventListener("click", async () => {
    await ask("DELETE", "v1/session");
    location.reload();
  });
}

function watchConnection() {
  const banner = document.getElementById("connection");
  connection.addEventListener("lost", () => {
    banner.textContent = "The server does not answer. The page tries again by itself.";
    banner.hidden = false;
  });
  connection.addEventListener("back", () => {
    banner.hidden = true;
    prepareBar();
  });
  connection.addEventListener("unauthorized", () => location.reload(), { once: true }); // the server answers with its sign-in page
}

document.getElementById("skip").addEventListener("click", (event) => {
  event.preventDefault(); // the part after # is the route
  main.focus();
});
document.addEventListener("click", () => positions.set(location.hash, scrollY), true); // before a link leaves
addEventListener("hashchange", () => showRoute());
watchConnection();
prepareTheme();
prepareBar();
listenForFiles(classifyFiles);
showRoute(true);
