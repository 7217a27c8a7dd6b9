// The list of queues and streams.

import { part, put } from './api.js';
import { folded, form, h, json, number, octets, pills, rate, toast } from './dom.js';
import { toQueue } from './exchanges.js';
import { paged } from './table.js';
import { vhostField } from './vhosts.js';

export const state = (row) => (row.state !== 'running' ? h('span', { class: 'state warn' }, row.state)
  : h('span', { class: 'state' }, row.idle_since ? 'idle' : 'running'));

// Arguments by the words that people know them by.
export const features = (row) => pills([row.type !== 'classic' && row.type, row.durable && 'durable', row.auto_delete && 'auto-delete', row.exclusive && 'exclusive',
  ...Object.entries(row.arguments).filter(([key]) => key !== 'x-queue-type').map(([key, value]) => `${key.replace(/^x-/, '')}: ${JSON.stringify(value)}`)]);

const counted = (row, name) => rate(row.message_stats?.[`${name}_details`]?.rate ?? 0);

export function queues({ params, again }) {
  const element = paged({
    path: 'queues',
    params,
    empty: 'No queues.',
    columns: [
      { title: 'Name', sort: 'name', cell: (row) => toQueue(row.vhost, row.name) },
      { title: 'Virtual host', sort: 'vhost', k: true, cell: (row) => row.vhost },
      { title: 'State', cell: state },
      { title: 'Ready', n: true, sort: 'messages_ready', cell: (row) => number(row.messages_ready) },
      { title: 'Unacknowledged', n: true, sort: 'messages_unacknowledged', cell: (row) => number(row.messages_unacknowledged) },
      { title: 'Consumers', n: true, sort: 'consumers', cell: (row) => number(row.consumers) },
      { title: 'In', n: true, sort: 'message_stats.publish_details.rate', cell: (row) => counted(row, 'publish') },
      { title: 'Out', n: true, sort: 'message_stats.deliver_get_details.rate', cell: (row) => counted(row, 'deliver_get') },
      { title: 'Acknowledged', n: true, sort: 'message_stats.ack_details.rate', cell: (row) => counted(row, 'ack') },
      { title: 'Bodies', n: true, sort: 'message_bytes', cell: (row) => octets(row.message_bytes) },
      { title: 'Features', cell: features },
      { title: 'Policy', cell: (row) => row.policy ?? '' },
    ],
  });
  const declare = folded('Declare a queue', () => vhostField((field) => form([
    field, ['name', 'Name', { required: true }], ['type', 'Type', { options: ['classic', 'quorum', 'stream'] }],
    ['durable', 'durable', { type: 'checkbox', checked: true }], ['auto_delete', 'auto-delete', { type: 'checkbox' }],
    ['ttl', 'Messages expire after (ms)', { type: 'number', min: 0 }], ['length', 'At most (messages)', { type: 'number', min: 0 }],
    ['dlx', 'Dead letters to exchange'], ['dlk', 'with routing key'],
    ['arguments', 'Further arguments', { kind: 'area', placeholder: '{"x-max-priority": 5}' }],
  ], 'Declare', async (values) => {
    const wanted = { 'x-queue-type': values.type };
    if (values.ttl) wanted['x-message-ttl'] = Number(values.ttl);
    if (values.length) wanted['x-max-length'] = Number(values.length);
    if (values.dlx) wanted['x-dead-letter-exchange'] = values.dlx;
    if (values.dlk) wanted['x-dead-letter-routing-key'] = values.dlk;
    const body = { durable: values.durable, auto_delete: values.auto_delete, arguments: { ...wanted, ...json(values.arguments, 'Arguments') } };
    await put(`queues/${part(values.vhost)}/${part(values.name)}`, body);
    toast(`Queue ${values.name} is there.`);
    again();
  })));
  return { title: 'Queues and streams', every: 5000, refresh: element.refresh, element: [element, declare] };
}
