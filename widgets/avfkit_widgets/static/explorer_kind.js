// The filter explorer, as one kind of explorer: its controls, its address, its numbers.

// How each slider maps its position to its value, and how a value is spoken.
function controls(setup) {
  const [low, high] = setup.snr_limits.map(Math.log10);
  const counted = (count, noun) => `${count} ${noun}${count === 1 ? "" : "s"}`;
  const same = { read: Number, write: (value) => value };
  return {
    snr: {
      min: low,
      max: high,
      step: 0.05,
      read: (position) => Number((10 ** Number(position)).toPrecision(3)),
      write: (value) => Math.log10(value),
      shown: formatSnr,
      spoken: (value) => `signal-to-noise ratio ${formatSnr(value)}`,
    },
    iterations: { ...same, min: 0, max: setup.max_iterations, step: 1, shown: String,
      spoken: (value) => `${counted(value, "iteration")} per step` },
    mask_start: { ...same, min: 1, max: setup.steps, step: 1, shown: String,
      spoken: (value) => `hidden from step ${value}` },
    mask_length: { ...same, min: 0, max: setup.steps, step: 1, shown: String,
      spoken: (value) => `${counted(value, "step")} hidden` },
  };
}


function readQuery(setup, query) {
  const number = (text, low, high) =>
    text !== null && text.trim() !== "" && Number.isFinite(Number(text))
      ? [Math.min(high, Math.max(low, Number(text)))]
      : [];
  const values = {};
  const [start, length] = (query.get("mask") ?? "").split(",");
  for (const snr of number(query.get("snr"), ...setup.snr_limits)) values.snr = snr;
  const count = (text, low, high) => number(text ?? null, low, high).map(Math.round);
  for (const k of count(query.get("k"), 0, setup.max_iterations)) values.iterations = k;
  for (const t of count(start, 1, setup.steps)) values.mask_start = t;
  for (const n of count(length, 0, setup.steps)) values.mask_length = n;
  if (query.has("latent")) values.show_latent = query.get("latent") === "1";
  return values;
}

function writeQuery(values) {
  const { snr, mask_start: start, mask_length: length, iterations, show_latent: latent } = values;
  return (
    `snr=${formatSnr(snr)}&mask=${start},${length}&k=${iterations}` +
    (latent ? "&latent=1" : "")
  );
}

function rows(setup, values, arrays) {
  return Array.from(arrays.gap, (gap, t) => [
    t + 1,
    arrays.observed[t] > 0.5 ? arrays.observation[t].toFixed(2) : "hidden",
    arrays.exact_mean[t].toFixed(2),
    Math.sqrt(arrays.exact_var[t]).toFixed(2),
    arrays.approximate_mean[t].toFixed(2),
    Math.sqrt(arrays.approximate_var[t]).toFixed(2),
    formatNats(gap),
  ]);
}

const KIND = {
  element: "avf-filter-explorer",
  fragment: "explorer",
  alone: true, // the browser can compute by itself
  controls,
  read: readQuery,
  write: writeQuery,
  compute: (setup, values) => evaluateExplorer(setup, values),
  scene,
  sentence: summarise,
  table: (...shown) => ({
    head: ["step", "observation", "exact mean", "sd", "approximate mean", "sd", "gap, nats"],
    rows: rows(...shown),
  }),
};
