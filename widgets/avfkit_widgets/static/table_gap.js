// The gap explorer's marks and words, mirrored in avfkit_widgets/_gap_table.py.

const TERMS = ["amortization", "family", "sampling", "filtering", "total"];
const [ROW, TOP, THICK] = [48, 22, 18];
const counted = (count) => `${count} iteration${count === 1 ? "" : "s"}`;

const PAINTER = {
  element: "avf-gap-explorer",
  fragment: "gap",

  scene(setup, values, { nats, errors }, width) {
    const { left, right } = MARGIN;
    const longest = Math.max(...Array.from(nats, (value, i) => value + errors[i]), 1e-9);
    const scale = (width - left - right) / longest;
    const paths = {};
    const texts = [];
    TERMS.forEach((term, i) => {
      const [value, error, top] = [nats[i], errors[i], TOP + i * ROW];
      paths[`gap-${term}`] = box(left, left + Math.max(value, 0) * scale, top, top + THICK);
      texts.push([left, top - 6, "start", `${setup.meanings[i]}, ${formatNats(value)}`]);
      const [low, high] = [-1, 1].map((sign) => left + Math.max(value + sign * error, 0) * scale);
      paths[`gap-error-${i}`] = box(low, high, top + THICK / 2 - 1, top + THICK / 2 + 1);
    });
    return finished({ paths, texts, height: TOP + TERMS.length * ROW });
  },

  sentence(setup, { snr, missing, iterations }, arrays) {
    const nats = Array.from(arrays.nats, formatNats);
    const gone = missing ? `${missing} % of the steps missing` : "nothing missing";
    return (
      `At SNR ${snr}, ${gone}, after ${counted(iterations)}, the free energy lies ` +
      `${nats[4]} nats per step above \u2212log p(x): ${nats[0]} amortization, ${nats[1]} ` +
      `family, ${nats[2]} sampling (${setup.num_samples} particles), ${nats[3]} filtering.`
    );
  },

  table(setup, values, { nats, errors }) {
    return {
      head: ["part of the gap", "nats per step", "standard error"],
      rows: TERMS.map((term, i) => [term, formatNats(nats[i]), formatNats(errors[i])]),
    };
  },
};
