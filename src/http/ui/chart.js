// Line charts of samples that the broker keeps: drawn as SVG, read with a finger or a pointer.

import { h, fill, number } from './dom.js';

const SVG = 'http://www.w3.org/2000/svg';
const WIDTH = 600;
const HEIGHT = 150;

function svg(tag, attributes) {
  const element = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  return element;
}

// The samples of counters as what they grew by each second, the oldest first.
export function growth(samples) {
  const points = [];
  for (let at = samples.length - 2; 0 <= at; at -= 1) {
    const [newer, older] = [samples[at], samples[at + 1]];
    const seconds = (newer.timestamp - older.timestamp) / 1000;
    points.push({ at: newer.timestamp, value: Math.max(0, (newer.sample - older.sample) / seconds) });
  }
  return points;
}

export const levels = (samples) => samples.map((sample) => ({ at: sample.timestamp, value: sample.sample })).reverse();

// A round number not below `value`, so that the scale does not jump with each sample.
function ceiling(value) {
  if (value <= 0) return 1;
  const power = 10 ** Math.floor(Math.log10(value));
  return [1, 2, 5, 10].find((step) => value <= step * power) * power;
}

export function chart(title, show = number) {
  const lines = svg('svg', { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: 'none', role: 'img', 'aria-label': title });
  const top = h('span');
  const moment = h('span');
  const [from, to] = [h('span'), h('span')];
  const legend = h('div', { class: 'legend' });
  const element = h('section', { class: 'card chart' }, h('h2', {}, title),
    h('div', { class: 'axis' }, top, moment), lines, h('div', { class: 'axis' }, from, to), legend);
  let series = [];
  let chosen = null;

  const cross = svg('line', { class: 'cross', y1: 0, y2: HEIGHT });
  function names() {
    const longest = Math.max(0, ...series.map((one) => one.points.length));
    fill(legend, series.map((one) => {
      const point = one.points[chosen === null ? one.points.length - 1 : Math.min(chosen, one.points.length - 1)];
      return h('span', {}, h('i', { class: one.color }), one.name, h('b', {}, show(point?.value ?? 0)));
    }));
    const point = series[0]?.points[chosen ?? -1];
    moment.textContent = point ? new Date(point.at).toLocaleTimeString() : '';
    cross.style.visibility = point ? 'visible' : 'hidden';
    if (point) {
      const x = (chosen / Math.max(1, longest - 1)) * WIDTH;
      cross.setAttribute('x1', x);
      cross.setAttribute('x2', x);
    }
  }
  lines.addEventListener('pointermove', (event) => {
    const box = lines.getBoundingClientRect();
    const count = series[0]?.points.length ?? 0;
    if (count === 0) return;
    chosen = Math.round(((event.clientX - box.left) / box.width) * (count - 1));
    chosen = Math.max(0, Math.min(count - 1, chosen));
    names();
  });
  lines.addEventListener('pointerleave', () => { chosen = null; names(); });

  // `series` are {name, color, points: [{at, value}]}.
  element.draw = (next) => {
    series = next;
    const highest = ceiling(Math.max(0, ...series.flatMap((one) => one.points.map((point) => point.value))));
    const drawn = [0.25, 0.5, 0.75, 1].map((part) => svg('line', {
      class: 'grid', x1: 0, x2: WIDTH, y1: HEIGHT * part - 1, y2: HEIGHT * part - 1,
    }));
    for (const one of series) {
      const last = Math.max(1, one.points.length - 1);
      const place = (point, at) => `${((at / last) * WIDTH).toFixed(1)},${(HEIGHT - 2 - (point.value / highest) * (HEIGHT - 6)).toFixed(1)}`;
      drawn.push(svg('polyline', { class: one.color, points: one.points.map(place).join(' ') }));
    }
    lines.replaceChildren(...drawn, cross);
    top.textContent = show(highest);
    const points = series[0]?.points ?? [];
    from.textContent = points.length ? new Date(points[0].at).toLocaleTimeString() : '';
    to.textContent = points.length ? new Date(points[points.length - 1].at).toLocaleTimeString() : 'no samples yet';
    names();
  };
  return element;
}

// What asks for the samples of the last ten minutes.
export const SAMPLES = 'lengths_age=600&lengths_incr=5&msg_rates_age=600&msg_rates_incr=5';

const LENGTHS = [['ready', 'messages_ready', 'c1'], ['unacknowledged', 'messages_unacknowledged', 'c2']];
const MESSAGES = [
  ['published', 'publish', 'c1'], ['confirmed', 'confirm', 'c6'], ['delivered', 'deliver_get', 'c2'],
  ['acknowledged', 'ack', 'c3'], ['redelivered', 'redeliver', 'c5'], ['unroutable, returned', 'return_unroutable', 'c4'],
  ['unroutable, dropped', 'drop_unroutable', 'c4'],
];

export function drawLengths(element, object) {
  element.draw(LENGTHS.map(([name, field, color]) => ({
    name, color, points: levels(object?.[`${field}_details`]?.samples ?? []),
  })));
}

export function drawRates(element, stats, shown = MESSAGES) {
  const used = shown.filter(([, field], at) => at === 0 || 0 < (stats?.[field] ?? 0));
  element.draw(used.map(([name, field, color]) => ({
    name, color, points: growth(stats?.[`${field}_details`]?.samples ?? []),
  })));
}
