// The numbers of the filter explorer: avfkit's two filters for one latent number, in doubles.
// Checked against avfkit in tests/browser/test_explorer_page.py.

// Variance of the exact posterior after many observed steps.
function steadyVariance({ coefficient, state_noise: q }, snr) {
  const r = 1 / snr;
  const square = coefficient * coefficient;
  const linear = q + r * (1 - square);
  return (2 * q * r) / (linear + Math.sqrt(linear * linear + 4 * square * q * r));
}

// k clipped gradient steps on F_t(mean, log variance), in units of the steady posterior's
// standard deviation; returns the mean and the variance of q.
function descend(setup, prior, x, r, unit, iterations) {
  const priorMean = prior.mean / unit;
  const priorVar = prior.variance / (unit * unit);
  const noise = r / (unit * unit);
  const target = x / unit;
  const step = (gradient) =>
    setup.step_size * Math.max(-setup.clip, Math.min(setup.clip, gradient));
  let mean = priorMean;
  let logVar = Math.log(priorVar);
  for (let i = 0; i < iterations; i += 1) {
    const variance = Math.exp(logVar);
    const byMean = (mean - priorMean) / priorVar + (mean - target) / noise;
    const byLogVar = 0.5 * (variance / priorVar + variance / noise - 1);
    mean -= step(byMean);
    logVar -= step(byLogVar);
  }
  return { mean: mean * unit, variance: Math.exp(logVar) * unit * unit };
}

// The exact posterior of one step and the logarithm of the observation's density, in nats.
function condition(prior, x, r) {
  const total = prior.variance + r;
  const gain = prior.variance / total;
  const residual = x - prior.mean;
  return {
    mean: prior.mean + gain * residual,
    variance: gain * r,
    logDensity: -0.5 * (Math.log(2 * Math.PI * total) + (residual * residual) / total),
  };
}

// F_t = E_q[-log p(x|z)] + KL(q || prior), in nats.
function stepFreeEnergy(q, prior, x, r) {
  const error = (x - q.mean) ** 2 + q.variance;
  const reconstruction = 0.5 * (Math.log(2 * Math.PI * r) + error / r);
  const ratio = q.variance / prior.variance;
  const shift = (q.mean - prior.mean) ** 2 / prior.variance;
  return reconstruction + 0.5 * (ratio - 1 - Math.log(ratio) + shift);
}

function evaluateExplorer(setup, values) {
  const { steps, coefficient, state_noise: q, latent, noise } = setup;
  const names = setup.fields;
  const out = Object.fromEntries(names.map((name) => [name, new Float64Array(steps)]));
  const r = 1 / values.snr;
  const unit = Math.sqrt(steadyVariance(setup, values.snr));
  const predict = ({ mean, variance }) => ({
    mean: coefficient * mean,
    variance: coefficient * coefficient * variance + q,
  });
  let exactPrior = { mean: 0, variance: 1 };
  let prior = { mean: 0, variance: 1 };
  for (let t = 0; t < steps; t += 1) {
    const x = latent[t] + noise[t] / Math.sqrt(values.snr);
    const place = t + 1 - values.mask_start;
    const seen = place < 0 || place >= values.mask_length;
    const exact = seen ? condition(exactPrior, x, r) : { ...exactPrior, logDensity: 0 };
    const posterior = seen ? descend(setup, prior, x, r, unit, values.iterations) : prior;
    const energy = seen ? stepFreeEnergy(posterior, prior, x, r) : 0;
    out.observation[t] = x;
    out.observed[t] = seen ? 1 : 0;
    out.exact_mean[t] = exact.mean;
    out.exact_var[t] = exact.variance;
    out.approximate_mean[t] = posterior.mean;
    out.approximate_var[t] = posterior.variance;
    out.free_energy[t] = energy;
    out.log_evidence[t] = exact.logDensity;
    out.gap[t] = energy + exact.logDensity;
    exactPrior = predict(exact);
    prior = predict(posterior);
  }
  return out;
}

function formatSnr(value) {
  return String(Number(value.toPrecision(3)));
}

function hiddenText(setup, { mask_start: first, mask_length: length }) {
  const last = Math.min(first + length - 1, setup.steps);
  if (last < first) return "no step is hidden";
  return last === first ? `step ${last} is hidden` : `steps ${first} to ${last} are hidden`;
}

// The one-sentence description, word for word avfkit_widgets._figures.summary.
function summarise(setup, values, arrays) {
  const seen = arrays.observed.reduce((sum, value) => sum + (value > 0.5 ? 1 : 0), 0);
  if (seen === 0) return "Every step is hidden: both filters only predict, and there is no gap.";
  const total = arrays.gap.reduce((sum, value) => sum + value, 0);
  const k = values.iterations;
  return (
    `At SNR ${formatSnr(values.snr)}, ${k} iteration${k === 1 ? "" : "s"} per step ` +
    `${k === 1 ? "leaves" : "leave"} the approximate filter ${formatNats(total / seen)} nats ` +
    `per observed step behind the exact one (${formatNats(total)} nats in all); ` +
    `${hiddenText(setup, values)}.`
  );
}
