// Tables: in pages, sorted and searched by the broker, or whole when the list is short.

import { get, part } from './api.js';
import { h, fill, number } from './dom.js';

const cell = (column, row) => {
  const value = column.cell(row);
  return h('td', { class: column.n ? 'n' : column.k ? 'k' : undefined, 'data-title': column.title }, value ?? '–');
};

function body(columns, rows, empty) {
  if (rows.length === 0) return h('tbody', {}, h('tr', {}, h('td', { colspan: columns.length, class: 'soft' }, empty)));
  return h('tbody', {}, rows.map((row) => h('tr', {}, columns.map((column) => cell(column, row)))));
}

const heading = (column) => h('th', { class: column.n ? 'n' : undefined }, column.title);

export function plain(columns, rows, empty = 'none') {
  return h('div', { class: 'scroll' }, h('table', {},
    h('thead', {}, h('tr', {}, columns.map(heading))), body(columns, rows, empty)));
}

// A list of the API that is read a page at a time. Its state lives in the address, so that it can be shared.
export function paged({ path, columns, params, tools = [], empty = 'none' }) {
  const state = {
    page: Number(params.get('page')) || 1,
    name: params.get('name') ?? '',
    sort: params.get('sort') ?? '',
    reverse: params.get('reverse') === 'true',
  };
  const count = h('span', { class: 'soft' });
  const table = h('table');
  const search = h('input', { type: 'search', placeholder: 'name contains', value: state.name, 'aria-label': 'name contains' });
  const before = h('button', { class: 'b', type: 'button' }, '‹');
  const after = h('button', { class: 'b', type: 'button' }, '›');
  const element = h('section', { class: 'card' },
    h('div', { class: 'tools' }, search, count, h('span', { class: 'grow' }), tools, before, after),
    h('div', { class: 'scroll' }, table));

  function change(next) {
    Object.assign(state, next);
    const query = new URLSearchParams();
    if (state.page !== 1) query.set('page', state.page);
    if (state.name) query.set('name', state.name);
    if (state.sort) query.set('sort', state.sort);
    if (state.reverse) query.set('reverse', 'true');
    const text = query.toString();
    history.replaceState(null, '', location.hash.split('?')[0] + (text ? `?${text}` : ''));
    return element.refresh();
  }
  let typing;
  search.addEventListener('input', () => {
    clearTimeout(typing);
    typing = setTimeout(() => change({ name: search.value, page: 1 }), 250);
  });
  before.addEventListener('click', () => change({ page: Math.max(1, state.page - 1) }));
  after.addEventListener('click', () => change({ page: state.page + 1 }));

  const head = (column) => {
    if (!column.sort) return heading(column);
    const arrow = state.sort === column.sort ? (state.reverse ? ' ↓' : ' ↑') : '';
    const sort = () => change({ sort: column.sort, reverse: state.sort === column.sort ? !state.reverse : Boolean(column.n), page: 1 });
    return h('th', { class: column.n ? 'n' : undefined }, h('button', { onclick: sort }, column.title + arrow));
  };

  element.refresh = async () => {
    const query = `page=${state.page}&page_size=50&pagination=true&name=${part(state.name)}`
      + (state.sort ? `&sort=${part(state.sort)}&sort_reverse=${state.reverse}` : '');
    let answer;
    try {
      answer = await get(`${path}${path.includes('?') ? '&' : '?'}${query}`);
    } catch (error) {
      // What was on the last page may be gone.
      if (error.status !== 400 || state.page === 1) throw error;
      return change({ page: 1 });
    }
    fill(table, h('thead', {}, h('tr', {}, columns.map(head))), body(columns, answer.items, empty));
    const found = answer.filtered_count === answer.total_count ? number(answer.total_count)
      : `${number(answer.filtered_count)} of ${number(answer.total_count)}`;
    count.textContent = answer.page_count < 2 ? found : `${found}, page ${answer.page} of ${number(answer.page_count)}`;
    before.disabled = answer.page <= 1;
    after.disabled = answer.page_count <= answer.page;
    return answer;
  };
  return element;
}
