// The posterior explorer's marks and words, mirrored in avfkit_widgets/_posterior_table.py.

const PANEL = { top: 26, bottom: 236, wide: 1.96 };

// Where each slider stands, by name.
function places(setup, values) {
  const place = ({ name, choices }) => [name, choices.indexOf(values[name])];
  return Object.fromEntries(setup.sliders.map(place));
}

const PAINTER = {
  element: "avf-posterior-explorer",
  fragment: "posterior",

  scene(setup, values, arrays, width) {
    const { left, right } = MARGIN;
    const { top, bottom, wide } = PANEL;
    const at = places(setup, values);
    const axis = setup.signal_axes[at.snr][at.latent];
    const count = arrays.gap.length;
    const step = (width - left - right) / count;
    const xs = Array.from({ length: count }, (_, t) => left + (t + 0.5) * step);
    const heights = (numbers) =>
      Array.from(numbers, (value) => ordinate(axis, value, top, bottom));
    const band = (mean, sd) => {
      const high = heights(arrays[mean].map((value, t) => value + wide * arrays[sd][t]));
      const low = heights(arrays[mean].map((value, t) => value - wide * arrays[sd][t]));
      return `${polyline([...xs, ...[...xs].reverse()], [...high, ...low.reverse()])}Z`;
    };
    const { lines, texts } = ruler(axis, width, top, bottom);
    const dots = heights(arrays.data);
    const within = (value) => axis.low <= value && value <= axis.high;
    const paths = {
      "signal-grid": lines,
      "exact-band": band("exact_mean", "exact_sd"),
      "approximate-band": band("mean", "sd"),
      latent: polyline(xs, heights(arrays.truth)),
      exact: polyline(xs, heights(arrays.exact_mean)),
      draw: polyline(xs, heights(arrays.draw)),
      seen: xs.map((x, t) => (within(arrays.data[t]) ? disc(x, dots[t], 1.8) : "")).join(""),
    };
    texts.push([left, top - 10, "start", "first entry of C z + d; dots: observed"]);
    const gaps = { ...setup, energy_axis: setup.gap_axes[at.snr][at.latent] };
    const below = strip(gaps, { energy: arrays.gap }, null, width, bottom + 34);
    return finished({
      paths: { ...paths, ...below.paths },
      texts: [...texts, ...below.texts],
      height: below.height,
    });
  },

  sentence(setup, values, arrays) {
    const at = places(setup, values);
    const [family, snr, size] = setup.sliders.map(({ name, spoken }) => spoken[at[name]]);
    const count = arrays.gap.length;
    const total = arrays.gap.reduce((sum, value) => sum + value, 0);
    const ratios = arrays.sd.map((value, t) => value / arrays.exact_sd[t]);
    const ratio = ratios.reduce((sum, value) => sum + value, 0) / count;
    return (
      `With ${size} at ${snr}, ${family} is ${formatNats(total / count)} nats per step from ` +
      `the exact posterior (${formatNats(total)} nats in all), and its band is ` +
      `${fixed(100 * ratio)} percent as wide.`
    );
  },

  table(setup, values, arrays) {
    const columns = ["truth", "data", "exact_mean", "exact_sd", "mean", "sd", "draw"];
    return {
      head: ["step", "truth", "data", "exact mean", "exact sd", "chosen mean", "chosen sd",
        "path drawn", "gap, nats"],
      rows: Array.from(arrays.gap, (gap, t) => [
        t + 1,
        ...columns.map((name) => arrays[name][t].toFixed(2)),
        formatNats(gap),
      ]),
    };
  },
};
