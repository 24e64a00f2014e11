// An explorer on a page: controls, picture, sentence, table. What it shows is a KIND, which the
// script before this one defines (explorer_kind.js, table_kind.js). It does not know who computes:
// `ask(request, answer)` is the browser in a built page and the kernel in JupyterLab.

const SVG = "http://www.w3.org/2000/svg";

function node(name, attributes, text) {
  const element = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  if (text !== undefined) element.textContent = text;
  return element;
}

class ExplorerView {
  constructor(root, setup, ask) {
    this.root = root;
    this.setup = setup;
    this.ask = ask;
    this.values = { ...setup.values };
    this.moved = {}; // what was moved since the last request
    this.busy = false;
    this.waiting = false;
    this.settled = () => {};
    this.find = (selector) => root.querySelector(selector);
    this.marks = {};
    this.preparePaper();
    this.prepareControls();
    this.find(".avf-data").addEventListener("toggle", () => this.fillTable());
    this.observer = new ResizeObserver(() => this.repaint());
    this.observer.observe(this.find(".avf-paper"));
    for (const part of root.querySelectorAll("[hidden]")) part.hidden = false;
  }

  preparePaper() {
    this.svg = node("svg", { class: "avf-picture", role: "img", focusable: "false" });
    this.texts = node("g", { class: "avf-texts" });
    this.images = node("g", { class: "avf-images" });
    this.find(".avf-paper").replaceChildren(this.svg);
  }

  prepareControls() {
    this.controls = KIND.controls(this.setup);
    for (const [name, control] of Object.entries(this.controls)) {
      const input = this.find(`[data-name=${name}]`);
      Object.assign(input, { min: control.min, max: control.max, step: control.step });
      input.addEventListener("input", () => this.change({ [name]: control.read(input.value) }));
    }
    for (const box of this.root.querySelectorAll("[type=checkbox]")) {
      box.addEventListener("change", () => this.change({ [box.dataset.name]: box.checked }));
    }
    this.find("button").addEventListener("click", () => this.change(this.setup.values));
    KIND.player?.(this);
  }

  // Where some controls end depends on others (KIND.ends): what lies beyond is moved there.
  within(moved) {
    const values = { ...this.values, ...moved };
    const ends = Object.entries(KIND.ends?.(this.setup, values) ?? {});
    return { ...moved, ...Object.fromEntries(ends.filter(([name, end]) => values[name] > end)) };
  }

  // Adopt values that a control or a link moved, and ask for their picture.
  change(wanted) {
    const moved = this.within(wanted);
    Object.assign(this.values, moved);
    Object.assign(this.moved, moved);
    this.showValues();
    if (this.busy) {
      this.waiting = true;
      return;
    }
    this.busy = true;
    const request = { values: { ...this.values }, moved: this.moved };
    this.moved = {};
    this.ask(request, (error, values, arrays) => this.answer(error, values, arrays));
  }

  // One request is in flight at a time, and every answer is painted.
  answer(error, values, arrays) {
    this.busy = false;
    this.show(error, values, arrays);
    if (this.waiting) {
      this.waiting = false;
      this.change({});
    } else {
      this.settled(this.values);
    }
  }

  // A picture to show, asked for or not; values that a hand is moving stay with the hand.
  show(error, values, arrays) {
    try {
      if (error) throw error;
      Object.assign(this.values, values, this.moved);
      this.showValues();
      this.paint(values, arrays);
      this.find(".avf-error").textContent = "";
    } catch (problem) {
      this.find(".avf-error").textContent = `The picture is out of date. ${problem.message}`;
    }
  }

  showValues() {
    const ends = KIND.ends?.(this.setup, this.values) ?? {};
    for (const [name, control] of Object.entries(this.controls)) {
      const value = this.values[name];
      const input = this.find(`[data-name=${name}]`);
      if (name in ends) input.max = control.write(ends[name]);
      if (control.read(input.value) !== value) input.value = control.write(value);
      input.setAttribute("aria-valuetext", control.spoken(value));
      input.parentElement.querySelector("output").textContent = control.shown(value);
    }
    for (const box of this.root.querySelectorAll("[type=checkbox]")) {
      box.checked = this.values[box.dataset.name];
    }
  }

  repaint() {
    if (this.painted && this.width() !== this.painted.width) {
      this.paint(this.painted.values, this.painted.arrays);
    }
  }

  width() {
    return Math.max(280, Math.floor(this.find(".avf-paper").clientWidth || 720));
  }

  paint(values, arrays) {
    const width = this.width();
    const { paths, texts, images = [], height } = KIND.scene(this.setup, values, arrays, width);
    for (const [name, d] of Object.entries(paths)) {
      this.marks[name] ??= this.svg.appendChild(node("path", { class: `avf-${name}` }));
      this.marks[name].setAttribute("d", d);
    }
    this.svg.append(this.texts, this.images);
    this.images.replaceChildren(
      ...images.map(([x, y, w, h, href]) => node("image", { x, y, width: w, height: h, href })),
    );
    this.texts.replaceChildren(
      ...texts.map(([x, y, anchor, words]) => node("text", { x, y, "text-anchor": anchor }, words)),
    );
    const sentence = KIND.sentence(this.setup, values, arrays);
    this.svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
    this.svg.setAttribute("aria-label", `${this.setup.description} ${sentence}`);
    this.find(".avf-summary").textContent = sentence;
    if (KIND.note) this.find(".avf-grid-note").textContent = KIND.note(this.setup, values);
    this.painted = { values, arrays, width };
    this.root.dataset.paints = Number(this.root.dataset.paints ?? 0) + 1;
    this.fillTable();
  }

  fillTable() {
    if (!this.painted || !this.find(".avf-data").open) return;
    const { values, arrays } = this.painted;
    const { head, rows } = KIND.table(this.setup, values, arrays);
    const cells = (row) => row.map((cell) => `<td>${cell}</td>`).join("");
    const heads = head.map((cell) => `<th scope="col">${cell}</th>`).join("");
    const body = rows.map(([t, ...row]) => `<tr><th scope="row">${t}</th>${cells(row)}</tr>`);
    this.find("table").innerHTML =
      `<thead><tr>${heads}</tr></thead><tbody>${body.join("")}</tbody>`;
  }

  note(text) {
    this.find("p.avf-note").textContent = text;
  }

  destroy() {
    this.observer.disconnect();
  }
}
