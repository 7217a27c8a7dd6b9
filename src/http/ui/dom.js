// Elements and words. Everything that comes from the broker becomes a text node, so nothing of it is ever markup.

export function h(tag, props, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(props ?? {})) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith('on')) element.addEventListener(name.slice(2), value);
    else if (name === 'value') element.value = value;
    else element.setAttribute(name, value === true ? '' : value);
  }
  add(element, children);
  return element;
}

export function add(element, children) {
  for (const child of children.flat(3)) {
    if (child === undefined || child === null || child === false) continue;
    element.append(child instanceof Node ? child : document.createTextNode(String(child)));
  }
  return element;
}

export function fill(element, ...children) {
  element.replaceChildren();
  return add(element, children);
}

const whole = new Intl.NumberFormat();
export function number(value) {
  if (value === undefined || value === null) return '–';
  return whole.format(value);
}

export function rate(value) {
  if (value === undefined || value === null) return '–';
  if (value !== 0 && Math.abs(value) < 10) return `${value.toFixed(1)}/s`;
  return `${whole.format(Math.round(value))}/s`;
}

export function octets(value) {
  if (value === undefined || value === null) return '–';
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
  let at = 0;
  while (1024 <= Math.abs(value) && at < units.length - 1) { value /= 1024; at += 1; }
  return `${at === 0 || 100 <= value ? Math.round(value) : value.toFixed(1)} ${units[at]}`;
}

export function span(milliseconds) {
  const seconds = Math.floor(milliseconds / 1000);
  if (seconds < 60) return `${seconds} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min`;
  if (seconds < 86400) return `${Math.floor(seconds / 3600)} h ${Math.floor(seconds / 60) % 60} min`;
  return `${Math.floor(seconds / 86400)} d ${Math.floor(seconds / 3600) % 24} h`;
}

export const time = (milliseconds) => new Date(milliseconds).toLocaleString();

export function toast(text, kind = '') {
  let place = document.getElementById('toast');
  if (!place) document.body.append(place = h('div', { id: 'toast', role: 'status' }));
  const note = h('div', { class: `note ${kind}` }, text);
  place.append(note);
  setTimeout(() => note.remove(), kind === 'bad' ? 8000 : 3500);
}

// A button that does something once, says so, and says why if it cannot.
export function button(text, action, kind = '') {
  const element = h('button', { class: `b ${kind}`, type: 'button' }, text);
  element.addEventListener('click', async () => {
    element.disabled = true;
    try { await action(); } catch (error) { toast(error.message, 'bad'); } finally { element.disabled = false; }
  });
  return element;
}

// Fields as [name, label, attributes]; `submit` gets their values.
export function form(fields, label, submit) {
  const element = h('form', { class: 'f' });
  for (const [name, text, attributes = {}] of fields) {
    const { kind, options, wide, ...rest } = attributes;
    let input;
    if (kind === 'area') input = h('textarea', { name, ...rest });
    else if (options) input = h('select', { name }, options.map((option) => h('option', { value: option }, option)));
    else input = h('input', { name, autocomplete: 'off', ...rest });
    if (rest.type === 'checkbox') element.append(h('label', { class: 'check' }, input, text));
    else element.append(h('label', { class: wide || kind === 'area' ? 'wide' : undefined }, text, input));
  }
  const send = h('button', { class: 'b main', type: 'submit' }, label);
  element.append(h('div', {}, send));
  element.addEventListener('submit', async (event) => {
    event.preventDefault();
    const values = {};
    for (const input of element.elements) {
      if (input.name) values[input.name] = input.type === 'checkbox' ? input.checked : input.value;
    }
    send.disabled = true;
    try { await submit(values, element); } catch (error) { toast(error.message, 'bad'); } finally { send.disabled = false; }
  });
  return element;
}

export const card = (title, ...children) => h('section', { class: 'card' }, title && h('h2', {}, title), ...children);

export function folded(title, build) {
  const element = h('details', { class: 'card' }, h('summary', {}, title));
  element.addEventListener('toggle', () => {
    if (element.open && element.childElementCount === 1) add(element, [build()]);
  });
  return element;
}

export function list(pairs) {
  return h('dl', {}, pairs.filter(([, value]) => value !== undefined && value !== null && value !== '')
    .map(([name, value]) => [h('dt', {}, name), h('dd', {}, value)]));
}

export const pills = (words) => words.filter(Boolean).map((word) => h('span', { class: 'pill' }, word));

export function json(text, what) {
  if (!text.trim()) return {};
  try { return JSON.parse(text); } catch { throw new Error(`${what} must be JSON, such as {"x-max-length": 1000}`); }
}
