// The iteration explorer's marks and words, mirrored in avfkit_widgets/_iteration_table.py.

const counted = (count, noun) => `${count} ${noun}${count === 1 ? "" : "s"}`;
const mean = (values) => values.reduce((sum, value) => sum + value, 0) / values.length;
const less = (change) => `${formatNats(Math.abs(change))} nats ${change <= 0 ? "less" : "more"}`;

// The estimates of step t's free energy after 0, 1, ... iterations.
function estimates(setup, arrays, t) {
  const count = setup.max_iterations + 1;
  return Array.from(arrays.iterations.subarray(t * count, (t + 1) * count));
}

function changesOf(setup, arrays) {
  return Array.from(arrays.energy, (_, t) => {
    const energies = estimates(setup, arrays, t);
    return energies.map((energy) => energy - energies[0]);
  });
}

// The data around a step, above.
function signalPanel(setup, t, arrays, width) {
  const { left, right } = MARGIN;
  const { size, span, signal_axis: axis } = setup;
  const [top, bottom] = [26, 196];
  const steps = arrays.energy.length;
  const first = Math.max(0, Math.min(t - Math.floor(span / 2), steps - span));
  const entry = (width - left - right) / (span * size);
  const xs = Array.from({ length: span * size }, (_, i) => left + (i + 0.5) * entry);
  const sides = [left + (t - first) * size * entry, left + (t - first + 1) * size * entry];
  const paths = { here: span > 1 ? box(...sides, top, bottom) : "" };
  const { lines, texts } = ruler(axis, width, top, bottom);
  paths["signal-grid"] = lines;
  const marks = { truth: "data", prediction: "prediction", reconstruction: "reconstruction" };
  for (const [mark, name] of Object.entries(marks)) {
    const values = Array.from(arrays[name].subarray(first * size, (first + span) * size));
    paths[mark] = polyline(xs, values.map((value) => ordinate(axis, value, top, bottom)));
  }
  const [start, last] = [first + setup.first, first + span - 1 + setup.first];
  const words = span === 1 ? `x at step ${start}` : `x at steps ${start} to ${last}`;
  texts.push([left, top - 10, "start", words]);
  return { paths, texts };
}

// The free energy over the iterations, below.
function changePanel(setup, k, t, arrays, width) {
  const { left, right } = MARGIN;
  const [top, bottom] = [400, 490];
  const axis = setup.change_axes[t];
  const count = setup.max_iterations + 1;
  const unit = (width - left - right) / count;
  const xs = Array.from({ length: count }, (_, i) => left + (i + 0.5) * unit);
  const changes = changesOf(setup, arrays);
  const paths = { iteration: box(left + k * unit, left + (k + 1) * unit, top, bottom) };
  const { lines, texts } = ruler(axis, width, top, bottom);
  paths["change-grid"] = lines;
  const average = xs.map((_, i) => mean(changes.map((row) => row[i])));
  for (const [mark, line] of [["mean-change", average], ["change", changes[t]]]) {
    const shown = xs.slice(0, k + 1);
    const ys = shown.map((_, i) => ordinate(axis, line[i], top, bottom));
    paths[mark] = polyline(shown, ys);
    paths[`${mark}-dots`] = shown.map((x, i) => disc(x, ys[i], 2.6)).join("");
  }
  xs.forEach((x, i) => texts.push([x, bottom + 18, "middle", String(i)]));
  const title = "change since the prior prediction, nats";
  texts.push([left, top - 10, "start", title]);
  texts.push([(left + width - right) / 2, bottom + 36, "middle", "inference iteration"]);
  return { paths, texts, height: bottom + 44 };
}

const PAINTER = {
  element: "avf-iteration-explorer",
  fragment: "iterations",

  scene(setup, values, arrays, width) {
    const [k, t] = [values.iterations, values.step - setup.first];
    const prior = Array.from(arrays.energy, (_, step) => estimates(setup, arrays, step)[0]);
    const parts = [
      signalPanel(setup, t, arrays, width),
      strip(setup, { prior, energy: arrays.energy }, t, width, 236),
      changePanel(setup, k, t, arrays, width),
    ];
    return finished({
      paths: Object.assign({}, ...parts.map((part) => part.paths)),
      texts: parts.flatMap((part) => part.texts),
      height: parts[2].height,
    });
  },

  sentence(setup, values, arrays) {
    const { iterations: k, step } = values;
    const t = step - setup.first;
    const here = formatNats(arrays.energy[t]);
    const count = arrays.energy.length;
    const average = formatNats(mean(arrays.energy));
    if (k === 0) {
      return (
        `Without inference iterations the estimate is the prior prediction: step ${step} ` +
        `costs ${here} nats, and the ${count} steps shown cost ${average} nats each on average.`
      );
    }
    const changes = changesOf(setup, arrays).map((row) => row[k]);
    return (
      `After ${counted(k, "iteration")} with ${counted(values.num_samples, "sample")}, ` +
      `step ${step} costs ${here} nats, ${less(changes[t])} than its prior prediction; ` +
      `the ${count} steps shown cost ${average} nats each on average, ${less(mean(changes))}.`
    );
  },

  table(setup, values, arrays) {
    const changes = changesOf(setup, arrays);
    return {
      head: ["step", "free energy, nats", "estimate at the prior", "after K", "change"],
      rows: changes.map((row, t) => {
        const energies = estimates(setup, arrays, t);
        const numbers = [arrays.energy[t], energies[0], energies[values.iterations]];
        return [t + setup.first, ...[...numbers, row[values.iterations]].map(formatNats)];
      }),
    };
  },
};
