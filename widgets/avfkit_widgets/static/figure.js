// <avf-figure>: replaces the static picture by the interactive figure once it scrolls near.
// plotly.js lies beside this file and is loaded once a page, and only where a figure is near.
(() => {
  const home = document.currentScript.src;
  const narrow = matchMedia("(max-width: 600px)");
  const still = { displaylogo: false, responsive: true, scrollZoom: false };
  let loading;

  const plotly = () => (loading ??= new Promise((resolve, reject) => {
    const script = document.createElement("script");
    script.src = new URL("plotly.min.js", home).href;
    script.onload = () => resolve(window.Plotly);
    script.onerror = () => reject(new Error("plotly.min.js did not load"));
    document.head.append(script);
  }));

  // Colours of the light scheme are the names of colours: #rrggbb and rgba(r,g,b,alpha).
  const channels = (hex) => [1, 3, 5].map((i) => parseInt(hex.slice(i, i + 2), 16)).join(",");
  const dark = () => document.documentElement.dataset.theme === "dark";
  const shades = new Map();
  for (const [name, light] of Object.entries(window.avfPalette.light)) {
    const other = window.avfPalette.dark[name];
    shades.set(light, other).set(channels(light), channels(other));
  }
  const recolor = (value) => {
    if (typeof value === "string") {
      const translucent = /^rgba\((\d+,\d+,\d+),([^)]*)\)$/.exec(value);
      if (!translucent) return shades.get(value.toLowerCase()) ?? value;
      return `rgba(${shades.get(translucent[1]) ?? translucent[1]},${translucent[2]})`;
    }
    if (Array.isArray(value)) {
      return value.every((item) => item === null || typeof item === "number") ? value : value.map(recolor);
    }
    if (value === null || typeof value !== "object") return value;
    return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, recolor(item)]));
  };

  const cell = (kind, text, scope) => {
    const made = document.createElement(kind);
    made.textContent = typeof text === "number" ? String(Number(text.toPrecision(6))) : text ?? "";
    if (scope) made.scope = scope;
    return made;
  };

  // Rows [series, x, y] of every trace; a grid gives [series, x, y, z].
  const rows = function* (traces) {
    for (const [i, trace] of traces.entries()) {
      const name = trace.name || `series ${i + 1}`;
      if (trace.z) {
        for (const [r, line] of trace.z.entries())
          for (const [c, z] of line.entries()) yield [name, trace.x?.[c] ?? c, trace.y?.[r] ?? r, z];
      } else {
        for (const [k, y] of (trace.y ?? []).entries()) yield [name, trace.x?.[k] ?? k, y];
      }
    }
  };

  const table = (traces, limit = 400) => {
    const made = document.createElement("table");
    const heads = traces.some((trace) => trace.z) ? ["series", "x", "y", "value"] : ["series", "x", "y"];
    made.createTHead().insertRow().append(...heads.map((head) => cell("th", head, "col")));
    const body = made.createTBody();
    let count = 0;
    for (const row of rows(traces)) {
      if (count++ < limit) body.insertRow().append(...row.map((item) => cell("td", item)));
    }
    made.createCaption().textContent = count > limit ? `First ${limit} of ${count} values` : `${count} values`;
    return made;
  };

  customElements.define("avf-figure", class extends HTMLElement {
    connectedCallback() {
      if (this.spec) return;
      this.spec = JSON.parse(this.querySelector("script").textContent);
      this.plot = this.querySelector(".avf-plot");
      this.addTable();
      const near = new IntersectionObserver((entries) => {
        if (!entries.some((entry) => entry.isIntersecting)) return;
        near.disconnect();
        this.paint();
      }, { rootMargin: "800px" });
      near.observe(this);
      new MutationObserver(() => this.painted && this.paint())
        .observe(document.documentElement, { attributeFilter: ["data-theme"] });
      narrow.addEventListener("change", () => this.painted && this.paint());
    }

    addTable() {
      const details = document.createElement("details");
      details.className = "avf-data";
      details.append(cell("summary", "Data of this figure"));
      details.addEventListener("toggle", () => {
        if (details.querySelector("table")) return;
        const box = document.createElement("div");
        box.tabIndex = 0;
        box.setAttribute("role", "region");
        box.setAttribute("aria-label", "Data of this figure");
        box.append(table(this.spec.data));
        details.append(box);
      });
      this.parentElement.append(details);
    }

    async paint() {
      const Plotly = await plotly();
      const spec = JSON.parse(JSON.stringify(this.spec));
      const { data, layout } = dark() ? recolor(spec) : spec;
      if (narrow.matches) layout.template.layout.font.size = 12;
      if (!this.painted) {
        this.plot.style.height = `${layout.height}px`;
        this.plot.replaceChildren();
      }
      this.painted = true;
      const bar = { displayModeBar: narrow.matches ? false : "hover" };
      await Plotly.react(this.plot, data, layout, { ...still, ...bar });
      this.dataset.state = "drawn";
    }
  });
})();
