// Play: a button that moves one slider on, place by place, until its end or until a hand takes over.

const TICK = 300; // milliseconds

class Player {
  constructor(view, name) {
    this.view = view;
    this.name = name;
    this.button = document.createElement("button");
    Object.assign(this.button, { type: "button", textContent: "Play" });
    this.button.className = "avf-play";
    view.find(".avf-buttons").prepend(this.button);
    this.button.addEventListener("click", () => (this.timer ? this.stop() : this.start()));
    for (const event of ["input", "click"]) {
      view.root.addEventListener(event, ({ target }) => target !== this.button && this.stop());
    }
  }

  get place() {
    return this.view.controls[this.name].write(this.view.values[this.name]);
  }

  // A screen reader hears the end of what is played, not every picture.
  start() {
    const { controls } = this.view;
    if (this.place >= controls[this.name].max) this.go(0);
    this.button.textContent = "Pause";
    this.view.find(".avf-summary").setAttribute("aria-live", "off");
    this.timer = setInterval(() => this.tick(), TICK);
  }

  tick() {
    if (!this.view.root.isConnected || this.place >= this.view.controls[this.name].max) this.stop();
    else this.go(this.place + 1);
  }

  go(place) {
    this.view.change({ [this.name]: this.view.controls[this.name].read(place) });
  }

  stop() {
    clearInterval(this.timer);
    this.timer = undefined;
    this.button.textContent = "Play";
    this.view.find(".avf-summary").setAttribute("aria-live", "polite");
  }
}
