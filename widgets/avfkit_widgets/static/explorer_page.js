// An explorer in a page without a kernel: a custom element, answered here. A link such as
// page.html#explorer?snr=0.1&mask=20,15&k=1 opens a state; the second explorer of a kind on a page
// answers to #explorer-2.

class ExplorerElement extends HTMLElement {
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
    const ready = KIND.prepare?.(setup);
    if (!ready) this.open(setup);
    else ready.then(() => this.open(setup), (error) => this.refuse(error));
  }

  // What this browser cannot unpack stays the drawn picture.
  refuse(error) {
    this.querySelector(".avf-error").textContent = `The sliders cannot work here. ${error.message}`;
  }

  open(setup) {
    const place = [...document.querySelectorAll(KIND.element)].indexOf(this);
    this.name = place === 0 ? KIND.fragment : `${KIND.fragment}-${place + 1}`;
    this.evaluate = (values) => KIND.compute(setup, values);
    const read = () => this.read(setup);
    this.view = new ExplorerView(this.querySelector(".avf-explorer"), setup, (request, answer) =>
      this.compute(request.values, answer),
    );
    this.view.change({ ...setup.values, ...read() });
    this.view.settled = (values) => this.remember(values);
    this.follow = () => {
      const values = read();
      if (!values) return;
      this.view.change({ ...setup.values, ...values });
      this.scrollIntoView({ block: "nearest" });
    };
    window.addEventListener("hashchange", this.follow);
    if (location.hash.startsWith(`#${this.name}?`)) this.scrollIntoView();
  }

  // The values that the address names for this explorer; null if it names another place.
  read(setup) {
    const start = `#${this.name}?`;
    if (!location.hash.startsWith(start)) return null;
    return KIND.read(setup, new URLSearchParams(location.hash.slice(start.length)));
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
      history.replaceState(history.state, "", `#${this.name}?${KIND.write(values)}`);
    }, 250);
  }

  disconnectedCallback() {
    clearTimeout(this.timer);
    window.removeEventListener("hashchange", this.follow);
  }
}

if (!customElements.get(KIND.element)) {
  customElements.define(KIND.element, ExplorerElement);
}
