// The frame of all pages: login, navigation by the part of the address behind '#', and refreshing.

import { get, isLoggedIn, LoggedOut, login, logout } from './api.js';
import { fill, h, toast } from './dom.js';
import { overview } from './overview.js';
import { connection, connections, channel, channels } from './clients.js';
import { exchange, exchanges } from './exchanges.js';
import { queues } from './queues.js';
import { queue } from './queue.js';
import { users, user } from './users.js';
import { vhosts } from './vhosts.js';
import { policies } from './policies.js';
import { definitions, log } from './node.js';

const root = document.getElementById('app');
const THEME = 'leveret.theme';
// Title, page, and who sees it; names in a path follow it.
const PAGES = {
  '': { title: 'Overview', page: overview },
  connections: { title: 'Connections', page: connections },
  connection: { page: connection, of: 'connections' },
  channels: { title: 'Channels', page: channels },
  channel: { page: channel, of: 'channels' },
  exchanges: { title: 'Exchanges', page: exchanges },
  exchange: { page: exchange, of: 'exchanges' },
  queues: { title: 'Queues and streams', page: queues },
  queue: { page: queue, of: 'queues' },
  policies: { title: 'Policies and limits', page: policies },
  vhosts: { title: 'Virtual hosts', page: vhosts },
  users: { title: 'Users', page: users, tag: 'administrator' },
  user: { page: user, of: 'users' },
  definitions: { title: 'Definitions', page: definitions, tag: 'administrator' },
  log: { title: 'Log', page: log, tag: 'monitoring' },
};
let shown = 0;
let me = null;
// Ends what the page that is shown goes on doing by itself.
let leavePage = () => {};

function theme(next) {
  if (next) localStorage.setItem(THEME, next);
  const chosen = localStorage.getItem(THEME);
  if (chosen === 'light' || chosen === 'dark') document.documentElement.dataset.theme = chosen;
  else delete document.documentElement.dataset.theme;
}

export const is = (tag) => me.tags.includes('administrator') || me.tags.includes(tag);

function askForLogin(reason) {
  shown += 1;
  leavePage();
  const name = h('input', { name: 'name', autocomplete: 'username', required: true });
  const password = h('input', { name: 'password', type: 'password', autocomplete: 'current-password' });
  const note = reason && h('div', { class: 'note bad', role: 'alert' }, reason);
  const send = async (event) => {
    event.preventDefault();
    login(name.value, password.value);
    await start(true);
  };
  fill(root, h('div', { class: 'login card' },
    h('div', { class: 'brand' }, h('img', { src: 'ui/icon.svg', alt: '' }), 'leveret'), note,
    h('form', { onsubmit: send }, h('label', {}, 'User', name), h('label', {}, 'Password', password),
      h('button', { class: 'b main', type: 'submit' }, 'Log in'))));
  name.focus();
}

function frame(main, here) {
  const visible = Object.entries(PAGES).filter(([, page]) => page.title && (!page.tag || is(page.tag)));
  const links = visible.map(([name, page]) => h('a', { href: `#/${name}`, class: name === here ? 'here' : undefined }, page.title));
  const turn = () => {
    const isDark = document.documentElement.dataset.theme === 'dark'
      || (!document.documentElement.dataset.theme && matchMedia('(prefers-color-scheme: dark)').matches);
    theme(isDark ? 'light' : 'dark');
  };
  const leave = () => { logout(); askForLogin(); };
  fill(root, h('header', {},
    h('div', { class: 'bar' }, h('a', { href: '#/', class: 'brand' }, h('img', { src: 'ui/icon.svg', alt: '' }), 'leveret'),
      h('span', { class: 'grow' }), h('span', { class: 'soft' }, me.name),
      h('button', { class: 'b', type: 'button', onclick: turn, 'aria-label': 'light or dark' }, '◐'),
      h('button', { class: 'b', type: 'button', onclick: leave }, 'Log out')),
    h('nav', {}, links)), main);
  root.querySelector('nav .here')?.scrollIntoView({ block: 'nearest', inline: 'center' });
}

async function show() {
  const turn = ++shown;
  leavePage();
  const [path, query = ''] = location.hash.replace(/^#\/?/, '').split('?');
  const [name, ...names] = path.split('/');
  const entry = PAGES[name] ?? PAGES[''];
  const main = h('main');
  frame(main, entry.of ?? name);
  const page = entry.page({ names: names.map(decodeURIComponent), params: new URLSearchParams(query), is, again: show });
  leavePage = page.leave ?? (() => {});
  document.title = `${page.title} – leveret`;
  fill(main, page.element);
  let failed = null;
  while (turn === shown) {
    if (!document.hidden) {
      try {
        await page.refresh();
        failed?.remove();
        failed = null;
      } catch (error) {
        if (turn !== shown) return;
        if (error instanceof LoggedOut) return askForLogin('Please log in again.');
        failed ??= main.insertBefore(h('div', { class: 'note bad', role: 'alert' }), main.firstChild);
        failed.textContent = error.message;
        if (error.status === 404 && names.length !== 0) return;
      }
    }
    if (!page.every) return;
    await new Promise((done) => setTimeout(done, page.every));
  }
}

async function start(wasAsked) {
  if (!isLoggedIn()) return askForLogin();
  try {
    me = await get('whoami');
  } catch (error) {
    if (!(error instanceof LoggedOut)) return wasAsked ? toast(error.message, 'bad') : askForLogin(error.message);
    logout();
    return askForLogin(wasAsked ? error.message : undefined);
  }
  await show();
}

theme();
addEventListener('hashchange', () => { if (me && isLoggedIn()) show(); });
start(false);
