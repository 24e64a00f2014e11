// An explorer on a kernel, as an anywidget. Pictures travel as custom messages, one request of a
// view in flight: eval{seq, moved} -> result{seq, values, fields} with one float32 buffer per
// field, or error{seq, message}. The kernel's traits are the state: a request carries only what
// the reader moved, and when Python moves a trait the kernel sends a result nobody asked for.

const PATIENCE = 3000; // milliseconds without an answer until the browser computes by itself
const LONG_PATIENCE = 120000; // where it cannot: a large model may have to compile

class Kernel {
  constructor(model, setup) {
    this.model = model;
    this.setup = setup;
    this.page = Math.random().toString(36).slice(2); // tells the views of one model apart
    this.count = 0;
    this.alone = false; // no answer within patience: every picture is computed here
    this.receive = (message, buffers) => this.handle(message, buffers);
    model.on("msg:custom", this.receive);
  }

  ask({ values, moved }, answer) {
    this.count += 1;
    const finish = () => {
      this.setAlone(true);
      if (KIND.alone) this.close(null, values, KIND.compute(this.setup, values));
      else this.close(new Error("No kernel answers."));
    };
    const patience = KIND.alone ? PATIENCE : LONG_PATIENCE;
    this.open = { answer, timer: setTimeout(finish, this.alone ? 0 : patience) };
    this.model.send({ type: "eval", seq: `${this.page}-${this.count}`, moved });
  }

  handle(message, buffers) {
    const own = String(message.seq).startsWith(`${this.page}-`);
    if (own && message.seq !== `${this.page}-${this.count}`) return; // a late answer, overtaken
    if (!own && this.open) return; // ours is under way and will carry the same traits
    this.setAlone(false);
    if (message.type === "error") {
      this.close(new Error(message.message));
      return;
    }
    const found = message.fields.map((name, i) => {
      const { buffer, byteOffset, byteLength } = buffers[i];
      return [name, new Float32Array(buffer.slice(byteOffset, byteOffset + byteLength))];
    });
    const arrays = { ...this.setup.constants, ...Object.fromEntries(found) };
    this.close(null, message.values, arrays);
  }

  close(error, values, arrays) {
    const open = this.open;
    this.open = null;
    clearTimeout(open?.timer);
    if (open) open.answer(error, values, arrays);
    else this.view.show(error, values, arrays);
  }

  setAlone(alone) {
    this.alone = alone;
    const said = "No kernel answers: this picture was computed in the browser.";
    this.view.note(alone && KIND.alone ? said : "");
  }

  destroy() {
    clearTimeout(this.open?.timer);
    this.model.off("msg:custom", this.receive);
  }
}

async function render({ model, el }) {
  const setup = { ...model.get("_setup") };
  el.innerHTML = setup.markup;
  await KIND.prepare?.(setup);
  const names = Object.keys(setup.values);
  const values = Object.fromEntries(names.map((name) => [name, model.get(name)]));
  const kernel = new Kernel(model, setup);
  const view = new ExplorerView(el.querySelector(".avf-explorer"), setup, (request, answer) =>
    kernel.ask(request, answer),
  );
  kernel.view = view;
  // JupyterLab would take the arrow keys for its own notebook commands.
  for (const part of el.querySelectorAll("input, button, summary, .avf-scroll")) {
    part.dataset.lmSuppressShortcuts = "true";
  }
  view.root.explorer = view;
  Object.assign(view.values, values);
  view.change({});
  return () => {
    kernel.destroy();
    view.destroy();
  };
}

export default { render };
