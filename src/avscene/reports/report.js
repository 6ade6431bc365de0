// Draw the figures in the colours of the page; draw them again when the colour scheme, the width or the medium changes.
(() => {
  const NARROW = 520; // pixels
  const plots = [...document.querySelectorAll(".plot")].map((element) => {
    const source = element.querySelector("script");
    const figure = source.textContent;
    source.remove();
    return { element, figure };
  });

  const resolveColours = (value, style, isColour) => {
    if (typeof value === "string") {
      return isColour && value.startsWith("theme:") ? style.getPropertyValue("--" + value.slice(6)).trim() : value;
    }
    if (Array.isArray(value)) return value.map((item) => resolveColours(item, style, isColour));
    if (value === null || typeof value !== "object") return value;
    return Object.fromEntries(
      Object.entries(value).map(([key, item]) => [key, resolveColours(item, style, isColour || /color/.test(key))])
    );
  };

  const draw = ({ element, figure }) => {
    const style = getComputedStyle(element);
    const { data, layout } = resolveColours(JSON.parse(figure), style, false);
    layout.width = element.clientWidth;
    if (layout.meta.namesOnLeft) layout.margin.l = parseInt(style.getPropertyValue("--left"), 10);
    if (layout.width < NARROW) {
      layout.font.size = 10;
      for (const trace of data) if (trace.textfont) trace.textfont.size = 9;
    }
    Plotly.react(element, data, layout, { displayModeBar: false, displaylogo: false });
  };
  const drawAll = () => plots.forEach(draw);

  drawAll();
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", drawAll);
  let width = innerWidth;
  addEventListener("resize", () => {
    if (innerWidth !== width) drawAll();
    width = innerWidth;
  });
  // Paper is light and narrower than most screens: draw for it before the browser computes the pages.
  addEventListener("beforeprint", () => {
    document.documentElement.classList.add("paper");
    drawAll();
  });
  addEventListener("afterprint", () => {
    document.documentElement.classList.remove("paper");
    drawAll();
  });
})();
