// The explorer in a page without a kernel: <avf-filter-explorer>, computed here.
// A link such as page.html#explorer?snr=0.1&mask=20,15&k=1 opens a state; the second explorer of a
// page answers to #explorer-2.

function readFragment(setup, name, fragment) {
  if (!fragment.startsWith(`#${name}?`)) return null;
  const query = new URLSearchParams(fragment.slice(name.length + 2));
  const number = (text, low, high) =>
    text !== null && text.trim() !== "" && Number.isFinite(Number(text))
      ? [Math.min(high, Math.max(low, Number(text)))]
      : [];
  const values = {};
  const [start, length] = (query.get("mask") ?? "").split(",");
  for (const snr of number(query.get("snr"), ...setup.snr_limits)) values.snr = snr;
  const count = (text, low, high) => number(text ?? null, low, high).map(Math.round);
  for (const k of count(query.get("k"), 0, setup.max_iterations)) values.iterations = k;
  for (const t of count(start, 1, setup.steps)) values.mask_start = t;
  for (const n of count(length, 0, setup.steps)) values.mask_length = n;
  if (query.has("latent")) values.show_latent = query.get("latent") === "1";
  return values;
}

function writeFragment(name, values) {
  const { snr, mask_start: start, mask_length: length, iterations, show_latent: latent } = values;
  return (
    `#${name}?snr=${formatSnr(snr)}&mask=${start},${length}&k=${iterations}` +
    (latent ? "&latent=1" : "")
  );
}

class FilterExplorerElement extends HTMLElement {
  connectedCallback() {
    if (this.view) return;
    const start = () => this.start();
    if (document.readyState === "loading") {
      document.addEventListener("DOMContentLoaded", start, { once: true });
    } else {
      start();
    }
  }

  start() {
    const setup = JSON.parse(this.querySelector("script").textContent);
    const place = [...document.querySelectorAll("avf-filter-explorer")].indexOf(this);
    this.name = place === 0 ? "explorer" : `explorer-${place + 1}`;
    this.evaluate = (values) => evaluateExplorer(setup, values);
    this.view = new ExplorerView(this.querySelector(".avf-explorer"), setup, (request, answer) =>
      this.compute(request.values, answer),
    );
    this.view.change({ ...setup.values, ...readFragment(setup, this.name, location.hash) });
    this.view.settled = (values) => this.remember(values);
    this.follow = () => {
      const values = readFragment(setup, this.name, location.hash);
      if (!values) return;
      this.view.change({ ...setup.values, ...values });
      this.scrollIntoView({ block: "nearest" });
    };
    window.addEventListener("hashchange", this.follow);
    if (location.hash.startsWith(`#${this.name}?`)) this.scrollIntoView();
  }

  // An error is the view's to show; it must not stop the next move.
  compute(values, answer) {
    let arrays;
    try {
      arrays = this.evaluate(values);
    } catch (error) {
      answer(error);
      return;
    }
    answer(null, values, arrays);
  }

  // Browsers limit how often an address may change: wait until the hand rests.
  remember(values) {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => {
      history.replaceState(history.state, "", writeFragment(this.name, values));
    }, 250);
  }

  disconnectedCallback() {
    clearTimeout(this.timer);
    window.removeEventListener("hashchange", this.follow);
  }
}

if (!customElements.get("avf-filter-explorer")) {
  customElements.define("avf-filter-explorer", FilterExplorerElement);
}
