// What every explorer's picture is made of: numbers as text, and small marks.

// One decimal, halves up, without a trailing zero: the same text from JavaScript and Python.
function fixed(value) {
  return String(Math.floor(value * 10 + 0.5) / 10);
}

function clamp(value, low, high) {
  return Math.max(low, Math.min(high, value));
}

// The next of 1, 2, 5, 10, ... at or above a positive number.
function roundUp(value) {
  const power = 10 ** Math.floor(Math.log10(value));
  const factor = [1, 2, 5, 10].find((candidate) => candidate * power >= value * 0.999999);
  return factor * power;
}

function disc(x, y, radius) {
  const r = fixed(radius);
  const d = fixed(2 * radius);
  return `M${fixed(x - radius)} ${fixed(y)}a${r} ${r} 0 1 0 ${d} 0a${r} ${r} 0 1 0 -${d} 0Z`;
}

// A small triangle pointing up (-1) or down (1), for what lies beyond the paper.
function arrow(x, y, sign) {
  return `M${fixed(x - 3)} ${fixed(y)}h6l-3 ${fixed(5 * sign)}Z`;
}

// A tick's number, with a true minus sign.
function signed(value) {
  return String(Number(value.toPrecision(3))).replace("-", "\u2212");
}

function formatNats(value) {
  const size = Math.abs(value);
  const text = value.toFixed(size < 1 ? 3 : size < 10 ? 2 : 1);
  return Number(text) === 0 ? text.replace("-", "") : text;
}
