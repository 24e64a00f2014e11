// The stream explorer's marks and words, mirrored in avfkit_widgets/_stream_table.py.

const UPPER = [26, 176];
const MIDDLE = [216, 296];
const LOWER = 336;

// The area between the two numbers of each place.
function between(axis, xs, pairs, [top, bottom]) {
  if (xs.length === 0) return "";
  const lows = pairs.map(([low]) => ordinate(axis, low, top, bottom));
  const highs = pairs.map(([, high]) => ordinate(axis, high, top, bottom));
  const back = xs.map((x, i) => [x, lows[i]]).reverse();
  return `${polyline(xs, highs)}L${polyline(...[0, 1].map((i) => back.map((p) => p[i]))).slice(1)}Z`;
}

const pairsOf = (values) =>
  Array.from({ length: values.length / 2 }, (_, i) => [values[2 * i], values[2 * i + 1]]);

// What was expected of each step just before it, and of those to come after `step`.
function expected({ horizon }, arrays, step) {
  const [all, count] = [pairsOf(arrays.forecast), arrays.data.length];
  const before = Array.from({ length: step }, (_, t) => all[t * horizon]);
  const ahead = all.slice(step * horizon, (step + 1) * horizon).slice(0, count - step);
  return { before, ahead };
}

function inside(arrays, before) {
  const seen = before.map((_, t) => t).filter((t) => arrays.seen[t] > 0.5);
  const held = seen.filter((t) => before[t][0] <= arrays.data[t] && arrays.data[t] <= before[t][1]);
  return [held.length, seen.length];
}

const PAINTER = {
  element: "avf-stream-explorer",
  fragment: "stream",

  scene(setup, { step }, arrays, width) {
    const { left, right } = MARGIN;
    const unit = (width - left - right) / arrays.data.length;
    const xs = Array.from(arrays.data, (_, t) => left + (t + 0.5) * unit);
    const [past, next] = [xs.slice(0, step), xs.slice(step)];
    const { before, ahead } = expected(setup, arrays, step);
    const [upper, middle] = [setup.signal_axis, setup.latent_axis];
    const [signal, latent] = [ruler(upper, width, ...UPPER), ruler(middle, width, ...MIDDLE)];
    const beliefs = pairsOf(arrays.posterior).slice(0, step);
    const dots = (wanted) =>
      past
        .map((x, t) =>
          arrays.seen[t] > 0.5 === wanted ? disc(x, ordinate(upper, arrays.data[t], ...UPPER), 2) : "",
        )
        .join("");
    const gaps = past.map((x, t) =>
      arrays.seen[t] > 0.5 ? "" : box(x - unit / 2, x + unit / 2, ...UPPER),
    );
    const below = strip(setup, { energy: arrays.energy }, step - 1, width, LOWER);
    const energies = Array.from(arrays.energy.slice(0, step), (energy) =>
      ordinate(setup.energy_axis, energy, LOWER, LOWER + 90),
    );
    const paths = {
      hidden: gaps.join(""),
      here: box(past[step - 1] - unit / 2, past[step - 1] + unit / 2, ...UPPER),
      "signal-grid": signal.lines,
      band: between(upper, past, before, UPPER),
      future: between(upper, next.slice(0, ahead.length), ahead, UPPER),
      heard: dots(true),
      missed: dots(false),
      "latent-grid": latent.lines,
      "belief-band": between(middle, past, beliefs, MIDDLE),
      belief: polyline(
        past,
        beliefs.map(([low, high]) => ordinate(middle, (low + high) / 2, ...MIDDLE)),
      ),
      ...below.paths,
      energy: polyline(past, energies),
      "energy-dots": past.map((x, t) => disc(x, energies[t], 2)).join(""),
    };
    const titles = [
      [left, UPPER[0] - 10, "start", setup.signal_title],
      [left, MIDDLE[0] - 10, "start", setup.latent_title],
    ];
    const texts = [...signal.texts, ...latent.texts, ...titles, ...below.texts];
    return finished({ paths, texts, height: below.height });
  },

  sentence(setup, { step }, arrays) {
    const t = step - 1;
    const { before } = expected(setup, arrays, step);
    const [low, high] = before[t].map((end) => end.toFixed(2));
    const [held, count] = inside(arrays, before);
    const found = arrays.seen[t] > 0.5 ? `${arrays.data[t].toFixed(2)} came` : "it did not come";
    return (
      `At step ${step} of ${arrays.data.length}, ${low} to ${high} was expected and ${found}; ` +
      `the step costs ${formatNats(arrays.energy[t])} nats. ` +
      `Of ${count} values seen so far, ${held} lay in their 90 % interval.`
    );
  },

  table(setup, { step }, arrays) {
    const { before } = expected(setup, arrays, step);
    const beliefs = pairsOf(arrays.posterior);
    return {
      head: ["step", "seen", "expected from", "to", "belief from", "to", "free energy, nats"],
      rows: before.map((ends, t) => [
        t + 1,
        arrays.seen[t] > 0.5 ? arrays.data[t].toFixed(2) : "no",
        ...[...ends, ...beliefs[t]].map((end) => end.toFixed(2)),
        formatNats(arrays.energy[t]),
      ]),
    };
  },
};
