// Definitions to take away and bring back, and the log as it is written.

import { follow, get, post } from './api.js';
import { button, card, fill, form, h, toast } from './dom.js';

export function definitions() {
  const save = button('Download', async () => {
    const all = await get('definitions');
    const file = new Blob([JSON.stringify(all, null, 1)], { type: 'application/json' });
    const link = h('a', { href: URL.createObjectURL(file), download: `definitions-${new Date().toISOString().slice(0, 10)}.json` });
    link.click();
    URL.revokeObjectURL(link.href);
  });
  const input = h('input', { type: 'file', accept: '.json,application/json', name: 'file' });
  const bring = form([], 'Import', async () => {
    const file = input.files[0];
    if (!file) throw new Error('Choose a file first.');
    let all;
    try { all = JSON.parse(await file.text()); } catch { throw new Error('The file is not JSON.'); }
    await post('definitions', all);
    toast('Imported.');
  });
  bring.prepend(input);
  const refresh = async () => {};
  return {
    title: 'Definitions', every: 0, refresh,
    element: [card('Export', h('p', { class: 'soft' }, 'Users, virtual hosts, permissions, policies, exchanges, queues and bindings; no messages. RabbitMQ reads the same file.'), save),
      card('Import', h('p', { class: 'soft' }, 'Adds what is missing and changes nothing that is there and differs.'), bring)],
  };
}

const KEPT = 1000;

export function log() {
  const place = h('div', { class: 'log', role: 'log' });
  const level = h('select', { 'aria-label': 'least level' }, ['DEBUG', 'INFO', 'WARN', 'ERROR'].map((name) => h('option', { value: name }, name)));
  level.value = 'INFO';
  const search = h('input', { type: 'search', placeholder: 'contains', 'aria-label': 'contains' });
  const order = ['TRACE', 'DEBUG', 'INFO', 'WARN', 'ERROR'];
  const state = h('span', { class: 'state' }, 'live');
  let [lines, after, isPaused] = [[], 0, false];
  const draw = () => {
    const word = search.value.toLowerCase();
    const least = order.indexOf(level.value);
    const shown = lines.filter((line) => least <= order.indexOf(line.level) && line.text.toLowerCase().includes(word));
    const isAtEnd = place.scrollHeight - place.scrollTop - place.clientHeight < 40;
    fill(place, shown.map((line) => h('div', { class: line.level }, `${new Date(line.at).toLocaleTimeString()} ${line.level.padEnd(5)} ${line.text}`)),
      shown.length === 0 && h('span', { class: 'soft' }, 'nothing'));
    if (isAtEnd) place.scrollTop = place.scrollHeight;
  };
  level.addEventListener('change', draw);
  search.addEventListener('input', draw);
  const hear = (events) => {
    for (const { event, id, data } of events) {
      if (event === 'missed') lines.push({ at: Date.now(), level: 'WARN', text: `(${data} lines came too fast to be shown)` });
      else lines.push(JSON.parse(data));
      if (id) after = Number(id);
    }
    lines = lines.slice(-KEPT);
    if (!isPaused) draw();
  };
  const ended = new AbortController();
  let isLive = false;
  const live = async () => {
    isLive = true;
    state.textContent = 'live';
    state.className = 'state';
    try { await follow(`leveret/log/live?after=${after}`, ended.signal, hear); } catch { /* asked for again below */ }
    isLive = false;
    state.textContent = 'not connected';
    state.className = 'state warn';
  };
  // Asking for the lines once shows at once that there is none, and why the stream could not be had.
  const refresh = async () => {
    if (isLive) return;
    const news = await get(`leveret/log?after=${after}`);
    lines = [...lines, ...news.items].slice(-KEPT);
    after = news.last;
    draw();
    live();
  };
  const pause = h('button', { class: 'b', type: 'button' }, 'Pause');
  pause.addEventListener('click', () => {
    isPaused = !isPaused;
    pause.textContent = isPaused ? 'Go on' : 'Pause';
    if (!isPaused) draw();
  });
  return {
    title: 'Log', every: 2000, refresh, leave: () => ended.abort(),
    element: card('Log', h('div', { class: 'tools' }, level, search, h('span', { class: 'grow' }), state, pause), place),
  };
}
