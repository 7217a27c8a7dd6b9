// What only streams have: segments, offsets, retention, readers and how far behind they are.

import { get } from './api.js';
import { card, fill, h, list, number, octets, pills, span } from './dom.js';
import { plain } from './table.js';

const when = (at) => (at ? new Date(at).toLocaleString() : 'empty');
const behind = (count) => h('span', { class: `state ${count === 0 ? '' : 'warn'}` }, count === 0 ? 'at the end' : `${number(count)} behind`);

export function stream(path) {
  const [facts, segments, readers] = [h('div', { class: 'two' }), h('div'), h('div')];
  const refresh = async () => {
    const one = await get(`${path}/stream`);
    const { segment_bytes: full, max_bytes: most, max_age: oldest } = one.retention;
    fill(facts, card('Offsets', list([
      ['First', number(one.first)], ['Last that consumers see', one.committed === 0 ? 'none yet' : number(one.committed - 1)],
      ['Next', number(one.next)], ['On the way to the disk', one.next === one.committed ? undefined : number(one.next - one.committed)],
    ])), card('Retention', list([
      ['Kept', `${octets(one.bytes)} in ${number(one.segment_count)} segments`], ['A segment', `up to ${octets(full)}`],
      ['At most', most === null ? 'no limit' : octets(most)], ['Not older than', oldest === null ? 'no limit' : span(oldest)],
    ])));
    fill(segments, card('Segments, the newest first', plain([
      { title: 'First offset', n: true, cell: (row) => number(row.first) }, { title: 'Messages', n: true, cell: (row) => number(row.messages) },
      { title: 'Size', n: true, cell: (row) => octets(row.bytes) }, { title: 'Chunks on disk', n: true, cell: (row) => number(row.chunks) },
      { title: 'Last message', k: true, cell: (row) => when(row.last_at) },
    ], one.segments)));
    fill(readers, h('div', { class: 'two' }, card(`Readers (${number(one.readers.length)})`, plain([
      { title: 'Name', cell: (row) => row.name ?? h('span', { class: 'soft' }, 'no name') }, { title: 'Next offset', n: true, cell: (row) => number(row.next) },
      { title: '', cell: (row) => behind(row.behind) }, { title: 'Unacknowledged', n: true, cell: (row) => number(row.unacknowledged) },
      { title: '', cell: (row) => pills([row.filtered && 'filtered', row.single_active && (row.active ? 'its turn' : 'waits for its turn')]) },
    ], one.readers, 'nobody reads')), card('Stored offsets', plain([
      { title: 'Name', cell: (row) => row.name }, { title: 'Goes on at', n: true, cell: (row) => number(row.next) },
      { title: '', cell: (row) => behind(row.behind) },
    ], one.names, 'no named consumer has acknowledged anything'))));
  };
  return { refresh, element: [facts, segments, readers] };
}
