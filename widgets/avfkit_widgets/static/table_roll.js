// The roll explorer's marks and words, mirrored in avfkit_widgets/_roll_table.py.

const ROLL = { top: 26, bottom: 266, levels: [0.05, 0.2, 0.4, 0.6, 0.8] };

// Where stretches of true begin and end.
function stretches(chosen) {
  const edges = [];
  for (let t = 0; t <= chosen.length; t += 1) {
    if ((chosen[t - 1] ?? false) !== (chosen[t] ?? false)) edges.push(t);
  }
  return Array.from({ length: edges.length / 2 }, (_, i) => [edges[2 * i], edges[2 * i + 1]]);
}

const NAMED = /^C-?\d$/;
const likely = (chance) => chance > 0.5;

// What is true of each cell, as a function of its place in the arrays.
function cellsOf({ roll, hidden, chance }) {
  return {
    hidden: (i) => hidden[i] > 0.5,
    heard: (i) => roll[i] > 0.5 && hidden[i] <= 0.5,
    missed: (i) => roll[i] > 0.5 && hidden[i] > 0.5,
    rest: (i) => roll[i] <= 0.5 && hidden[i] > 0.5,
    between: (low, high) => (i) => hidden[i] > 0.5 && chance[i] >= low && chance[i] < high,
  };
}

const PAINTER = {
  element: "avf-roll-explorer",
  fragment: "roll",

  scene(setup, values, arrays, width) {
    const { left, right } = MARGIN;
    const { top, bottom, levels } = ROLL;
    const keys = setup.keys.length;
    const steps = arrays.energy.length;
    const end = width - right;
    const step = (end - left) / steps;
    const tall = (bottom - top) / keys;
    const cells = (test) =>
      setup.keys
        .flatMap((_, k) => {
          const chosen = Array.from({ length: steps }, (__, t) => test(t * keys + k));
          const [y0, y1] = [bottom - (k + 1) * tall, bottom - k * tall];
          return stretches(chosen).map(([a, b]) => box(left + a * step, left + b * step, y0, y1));
        })
        .join("");
    const is = cellsOf(arrays);
    const places = setup.keys.flatMap((name, k) => (NAMED.test(name) ? [k] : []));
    const edges = [...places.map((k) => bottom - k * tall), top, bottom];
    const paths = { hidden: cells(is.hidden) };
    [...levels, 2].slice(1).forEach((high, i) => {
      paths[`chance-${i}`] = cells(is.between(levels[i], high));
    });
    Object.assign(paths, {
      heard: cells(is.heard),
      missed: cells(is.missed),
      "roll-grid": edges.map((y) => box(left, end, y, y)).join(""),
    });
    const texts = places.map((k) => [left - 8, bottom - (k + 0.5) * tall + 4, "end", setup.keys[k]]);
    texts.push([left, top - 10, "start", "notes: what was heard, and what was filled in"]);
    const below = strip(setup, { energy: arrays.energy }, null, width, bottom + 34);
    return finished({
      paths: { ...paths, ...below.paths },
      texts: [...texts, ...below.texts],
      height: below.height,
    });
  },

  sentence(setup, values, arrays) {
    const k = values.iterations;
    const total = arrays.energy.reduce((sum, value) => sum + value, 0);
    const mean = formatNats(total / arrays.energy.length);
    const after = setup.iterates ? ` after ${k} iteration${k === 1 ? "" : "s"}` : "";
    if (!arrays.hidden.some((value) => value > 0.5)) {
      return `Nothing is hidden: the roll costs ${mean} nats per step${after}.`;
    }
    const is = cellsOf(arrays);
    const count = (test) => arrays.roll.reduce((sum, _, i) => sum + (test(i) ? 1 : 0), 0);
    const [lost, rests] = [count(is.missed), count(is.rest)];
    const found = count((i) => is.missed(i) && likely(arrays.chance[i]));
    const wrong = count((i) => is.rest(i) && likely(arrays.chance[i]));
    const share = lost ? ` (${((100 * found) / lost).toFixed(0)} %)` : "";
    return (
      `With ${values.hidden} hidden, the model gives ${found} of ${lost} hidden notes` +
      `${share} a probability above one half${after}, and ${wrong} of ` +
      `${rests} hidden rests; what was heard costs ${mean} nats per step.`
    );
  },

  table(setup, values, arrays) {
    const is = cellsOf(arrays);
    const count = setup.keys.length;
    const rows = Array.from(arrays.energy, (energy, t) => {
      const named = (test, words) =>
        setup.keys.flatMap((name, k) => (test(t * count + k) ? [words(name, t * count + k)] : []));
      const missed = named(is.missed, (name, i) => `${name} ${arrays.chance[i].toFixed(2)}`);
      return [t + 1, named(is.heard, (name) => name).join(" "), missed.join(", "), formatNats(energy)];
    });
    return { head: ["step", "heard", "hidden notes, probability", "free energy, nats"], rows };
  },
};
