// The mask explorer's marks and words, mirrored in avfkit_widgets/_mask_table.py.

const ROWS = { clean: "truth", data: "data", frames: "model" };

// The hidden steps as a slice; what lies beyond the end does not count.
function windowOf(setup, { start, length }) {
  const end = Math.min(start - 1 + length, setup.length);
  return end > start - 1 ? [start - 1, end] : [0, 0];
}

const within = ([begin, end], t) => t >= begin && t < end;

// Column i of an array of pairs.
function columnOf(pairs, i) {
  return Array.from({ length: pairs.length / 2 }, (_, t) => pairs[2 * t + i]);
}

function abscissa({ low, high }, value, width) {
  const { left, right } = MARGIN;
  return left + ((clamp(value, low, high) - low) / (high - low)) * (width - left - right);
}

const average = (values) => values.reduce((sum, value) => sum + value, 0) / values.length;

// The first number over time.
function linePanel(setup, hidden, arrays, width) {
  const { left, right } = MARGIN;
  const [top, bottom, axis] = [26, 166, setup.axes[0]];
  const step = (width - left - right) / setup.length;
  const xs = Array.from({ length: setup.length }, (_, t) => left + (t + 0.5) * step);
  const { lines, texts } = ruler(axis, width, top, bottom);
  const line = (values) => Array.from(values, (value) => ordinate(axis, value, top, bottom));
  const edges = [...line(arrays.high), ...line(arrays.low).reverse()];
  const sides = hidden.map((t) => left + t * step);
  const paths = {
    hidden: hidden[1] > hidden[0] ? box(...sides, top, bottom) : "",
    "angle-grid": lines,
    band: `${polyline([...xs, ...[...xs].reverse()], edges)}Z`,
    truth: polyline(xs, line(columnOf(arrays.truth, 0))),
    reconstruction: polyline(xs, line(columnOf(arrays.mean, 0))),
  };
  for (const [t, words] of setup.step_ticks) texts.push([xs[t], bottom + 18, "middle", words]);
  texts.push([left, top - 10, "start", setup.titles[0]]);
  texts.push([(left + width - right) / 2, bottom + 36, "middle", "step"]);
  return { paths, texts };
}

// The second number against the first.
function phasePanel(setup, [begin, end], arrays, width) {
  const { left, right } = MARGIN;
  const [top, bottom] = [236, 416];
  const [across, up] = setup.axes;
  const { lines, texts } = ruler(up, width, top, bottom);
  const at = ([x, y]) => [abscissa(across, x, width), ordinate(up, y, top, bottom)];
  const line = (pairs) => {
    const [xs, ys] = [columnOf(pairs, 0), columnOf(pairs, 1)];
    const points = xs.map((x, t) => at([x, ys[t]]));
    return polyline(points.map(([x]) => x), points.map(([, y]) => y));
  };
  const any = end > begin;
  const size = 2 * setup.length;
  const starts = any ? Array.from({ length: arrays.paths.length / size }, (_, i) => i * size) : [];
  const drawn = starts.map((from) => line(arrays.paths.subarray(from + 2 * begin, from + 2 * end)));
  const shown = any ? arrays.mean.subarray(2 * begin, 2 * end) : arrays.mean;
  const paths = {
    "phase-grid": lines,
    "phase-draws": drawn.join(""),
    "phase-truth": line(arrays.truth),
    "phase-mean": line(shown),
    "phase-start": disc(...at(shown), 3.5),
  };
  for (const [value, words] of across.ticks) {
    texts.push([abscissa(across, value, width), bottom + 18, "middle", words]);
  }
  texts.push([left, top - 10, "start", setup.titles[1]]);
  texts.push([(left + width - right) / 2, bottom + 36, "middle", setup.titles[0]]);
  return { paths, texts };
}

// Frames along the film.
function framePanel(setup, hidden, arrays, width) {
  const { left, right } = MARGIN;
  const [height, across] = setup.shape;
  const top = 476;
  const side = (width - left - right) / setup.places.length;
  const tall = (side * height) / across;
  const [images, texts, frames, covered] = [[], [], [], []];
  Object.entries(ROWS).forEach(([kind, words], row) => {
    const above = top + row * (tall + 4);
    texts.push([left - 8, above + tall / 2 + 4, "end", words]);
    setup.places.forEach((t, i) => {
      const sides = [left + i * side, left + (i + 1) * side - 3, above, above + tall - 3];
      if (kind === "data" && within(hidden, t)) {
        covered.push(box(...sides));
        return;
      }
      frames.push(box(...sides));
      const pixels = arrays[kind].subarray(i * height * across, (i + 1) * height * across);
      images.push([sides[0], above, side - 3, tall - 3, grey(pixels, height, across)]);
    });
  });
  const below = top + 3 * (tall + 4);
  setup.places.forEach((t, i) => {
    texts.push([left + (i + 0.5) * side - 1.5, below + 14, "middle", String(t + 1)]);
  });
  const paths = { covered: covered.join(""), frame: frames.join("") };
  return { paths, texts, images, height: below + 22 };
}

const PAINTER = {
  element: "avf-mask-explorer",
  fragment: "mask",

  scene(setup, values, arrays, width) {
    const hidden = windowOf(setup, values);
    const panels = [linePanel, phasePanel, framePanel];
    const parts = panels.map((panel) => panel(setup, hidden, arrays, width));
    return finished({
      paths: Object.assign({}, ...parts.map((part) => part.paths)),
      texts: parts.flatMap((part) => part.texts),
      images: parts[2].images,
      height: parts[2].height,
    });
  },

  sentence(setup, values, arrays) {
    const { what, unit } = setup;
    const hidden = windowOf(setup, values);
    const any = hidden[1] > hidden[0];
    const truth = columnOf(arrays.truth, 0);
    const steps = truth.map((_, t) => t).filter((t) => !any || within(hidden, t));
    const others = truth.map((_, t) => t).filter((t) => !within(hidden, t));
    const square = columnOf(arrays.mean, 0).map((mean, t) => (mean - truth[t]) ** 2);
    const off = (chosen) => Math.sqrt(average(chosen.map((t) => square[t]))).toFixed(2);
    const holds = (t) => Number(arrays.low[t] <= truth[t] && truth[t] <= arrays.high[t]);
    const wide = average(steps.map((t) => arrays.high[t] - arrays.low[t])).toFixed(2);
    const share = Math.floor(100 * average(steps.map(holds)) + 0.5);
    const opening = any ? `Steps ${hidden[0] + 1} to ${hidden[1]} are hidden` : "Nothing is hidden";
    const words =
      `${opening}: the ${what} is off by ${off(steps)} ${unit} in root mean square, and its 90 % ` +
      `band, ${wide} ${unit} wide on average, holds it at ${share} % of ` +
      `${any ? "these" : "the"} steps`;
    return any ? `${words}; elsewhere it is off by ${off(others)} ${unit}.` : `${words}.`;
  },

  table(setup, values, arrays) {
    const hidden = windowOf(setup, values);
    const [what, other] = setup.titles;
    const [truth, mean] = [arrays.truth, arrays.mean];
    return {
      head: ["step", "hidden", `${what}: truth`, "mean", "5 %", "95 %", `${other}: truth`, "mean"],
      rows: Array.from(arrays.low, (low, t) => [
        t + 1,
        within(hidden, t) ? "yes" : "no",
        ...[truth[2 * t], mean[2 * t], low, arrays.high[t], truth[2 * t + 1], mean[2 * t + 1]].map(
          (value) => signed(value),
        ),
      ]),
    };
  },
};
