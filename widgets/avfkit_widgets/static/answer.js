// <avf-answer data-value data-tolerance>: a field, a button, a verdict. No network, no kernel.
(() => {
  if (customElements.get("avf-answer")) return;

  const parse = (text) => {
    const cleaned = text.trim().replace(/\u2212/g, "-").replace(/^([-+]?\d*),(\d+)$/, "$1.$2");
    return /^[-+]?(\d+\.?\d*|\.\d+)(e[-+]?\d+)?$/i.test(cleaned) ? Number(cleaned) : NaN;
  };

  customElements.define("avf-answer", class extends HTMLElement {
    connectedCallback() {
      if (this.ready) return;
      this.ready = true;
      this.field = this.querySelector("input");
      this.verdict = this.querySelector("output");
      this.querySelector("button").addEventListener("click", () => this.grade());
      this.field.addEventListener("keydown", (event) => {
        // Neither the page's nor JupyterLab's shortcuts see what is typed here.
        event.stopPropagation();
        if (event.key === "Enter") this.grade();
      });
      this.field.addEventListener("input", () => this.say("", ""));
    }

    grade() {
      const given = parse(this.field.value);
      if (Number.isNaN(given)) return this.say("Please type a number, such as -1.25.", "unread");
      const distance = Math.abs(given - Number(this.dataset.value));
      if (distance <= Number(this.dataset.tolerance)) return this.say("\u2713 Right.", "right");
      this.say(given < Number(this.dataset.value) ? "Not yet: too low." : "Not yet: too high.", "wrong");
    }

    say(text, state) {
      this.verdict.textContent = text;
      this.dataset.state = state;
      this.field.setAttribute("aria-invalid", String(state === "wrong" || state === "unread"));
    }
  });
})();
