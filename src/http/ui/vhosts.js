// Virtual hosts, and the field by which other pages choose one.

import { del, get, part, put } from './api.js';
import { button, card, fill, folded, form, h, number, pills, rate, toast } from './dom.js';
import { plain } from './table.js';

// Builds a form that needs to know the vhosts and the types of exchanges; it appears when they are known.
export function vhostField(build) {
  const place = h('div', { class: 'soft' }, 'one moment …');
  Promise.all([get('vhosts?columns=name'), get('overview?columns=exchange_types')]).then(([all, overview]) => {
    const types = overview.exchange_types.map((type) => type.name);
    const sorted = ['direct', 'topic', 'fanout', 'headers'].filter((type) => types.includes(type));
    fill(place, build(['vhost', 'Virtual host', { options: all.map((one) => one.name) }],
      [...sorted, ...types.filter((type) => !sorted.includes(type))]));
  }).catch((error) => toast(error.message, 'bad'));
  return place;
}

export function vhosts({ is }) {
  const place = h('div');
  const may = is('administrator');
  const refresh = async () => {
    const all = await get('vhosts');
    const remove = (one) => may && button('Delete', async () => {
      if (prompt(`This deletes every queue and message in it. Type the name of the virtual host to go on.`) !== one.name) return;
      await del(`vhosts/${part(one.name)}`);
      await refresh();
    }, 'bad');
    // Copies of everything that passes go to amq.rabbitmq.trace while it is on, which costs as much again.
    const firehose = (one) => (may ? button(one.tracing ? 'on: stop' : 'off: start', async () => {
      await put(`vhosts/${part(one.name)}`, { tracing: !one.tracing });
      await refresh();
    }, one.tracing ? 'main' : '') : one.tracing ? 'on' : 'off');
    fill(place, card('Virtual hosts', plain([
      { title: 'Name', cell: (one) => one.name },
      { title: 'Description', cell: (one) => one.description },
      { title: 'Tags', cell: (one) => pills(one.tags ?? []) },
      { title: 'Ready', n: true, cell: (one) => number(one.messages_ready) },
      { title: 'Unacknowledged', n: true, cell: (one) => number(one.messages_unacknowledged) },
      { title: 'In', n: true, cell: (one) => rate(one.message_stats?.publish_details.rate ?? 0) },
      { title: 'Out', n: true, cell: (one) => rate(one.message_stats?.deliver_get_details.rate ?? 0) },
      { title: 'Firehose', cell: (one) => firehose(one) },
      { title: '', n: true, cell: (one) => remove(one) || '' },
    ], all)));
  };
  const add = may && folded('Add a virtual host', () => form([['name', 'Name', { required: true }], ['description', 'Description'], ['tags', 'Tags, with commas']],
    'Add', async ({ name, ...rest }) => {
      await put(`vhosts/${part(name)}`, rest);
      toast(`Virtual host ${name} is there.`);
      await refresh();
    }));
  return { title: 'Virtual hosts', every: 5000, refresh, element: [place, add] };
}
