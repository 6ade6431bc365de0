// Search, filter and order the rows of the page of recordings. Without this script all rows are shown.
(() => {
  const body = document.querySelector("table.recordings").tBodies[0];
  const rows = [...body.rows];
  const form = document.querySelector(".controls");
  const { words, scene, state, order, status } = form.elements;
  const DELAY = 120; // milliseconds after the last key
  form.hidden = false;

  // Names may hold letters with separate accents, as macOS writes them.
  const plain = (text) => text.normalize("NFC").toLowerCase();
  let texts = null; // made at the first search
  const readTexts = () => rows.map((row) => plain([1, 2, 4].map((cell) => row.cells[cell].textContent).join(" ")));

  const filter = () => {
    const wanted = plain(words.value).split(/\s+/).filter(Boolean);
    if (wanted.length && texts === null) texts = readTexts();
    let shown = 0;
    rows.forEach((row, position) => {
      const fits =
        wanted.every((word) => texts[position].includes(word)) &&
        (!scene.value || (row.dataset.scenes || "").split(" ").includes(scene.value)) &&
        (!state.value || row.dataset.states.split(" ").includes(state.value));
      row.hidden = !fits;
      shown += fits;
    });
    status.textContent = `${shown.toLocaleString("en")} of ${rows.length.toLocaleString("en")} shown`;
  };

  const number = (row, name) => parseFloat(row.dataset[name] ?? "NaN");
  const orders = {
    given: () => 0,
    name: (a, b) => a.cells[1].textContent.localeCompare(b.cells[1].textContent, undefined, { numeric: true }),
    score: (a, b) => (number(a, "score") || 0) - (number(b, "score") || 0),
    longest: (a, b) => (number(b, "seconds") || 0) - (number(a, "seconds") || 0),
  };
  const sort = () => body.append(...[...rows].sort(orders[order.value]));

  let timer = 0;
  words.addEventListener("input", () => {
    clearTimeout(timer);
    timer = setTimeout(filter, DELAY);
  });
  scene.addEventListener("change", filter);
  state.addEventListener("change", filter);
  order.addEventListener("change", sort);
  form.addEventListener("submit", (event) => event.preventDefault());
  filter();
})();
