// Exchanges: the list, and a page for each with its bindings and a way to publish.

import { del, exchangePart, get, part, post, put } from './api.js';
import { chart, drawRates, SAMPLES } from './chart.js';
import { button, card, fill, folded, form, h, json, list, pills, rate, toast } from './dom.js';
import { paged, plain } from './table.js';
import { vhostField } from './vhosts.js';

const shown = (name) => (name === '' ? '(default)' : name);
export const toExchange = (vhost, name) => h('a', { href: `#/exchange/${part(vhost)}/${exchangePart(name)}` }, shown(name));
export const toQueue = (vhost, name) => h('a', { href: `#/queue/${part(vhost)}/${part(name)}` }, name);
const features = (row) => pills([row.durable && 'durable', row.auto_delete && 'auto-delete', row.internal && 'internal',
  ...Object.entries(row.arguments).map(([key, value]) => `${key}: ${JSON.stringify(value)}`)]);

export function exchanges({ params, again }) {
  const element = paged({
    path: 'exchanges',
    params,
    columns: [
      { title: 'Name', sort: 'name', cell: (row) => toExchange(row.vhost, row.name) },
      { title: 'Virtual host', sort: 'vhost', k: true, cell: (row) => row.vhost },
      { title: 'Type', sort: 'type', k: true, cell: (row) => row.type },
      { title: 'Features', cell: features },
      { title: 'Policy', cell: (row) => row.policy ?? '' },
      { title: 'In', n: true, sort: 'message_stats.publish_in_details.rate', cell: (row) => rate(row.message_stats?.publish_in_details.rate ?? 0) },
      { title: 'Out', n: true, sort: 'message_stats.publish_out_details.rate', cell: (row) => rate(row.message_stats?.publish_out_details.rate ?? 0) },
    ],
  });
  const declare = folded('Declare an exchange', () => vhostField((field, types) => form([
    field, ['name', 'Name', { required: true }], ['type', 'Type', { options: types }],
    ['durable', 'durable', { type: 'checkbox', checked: true }], ['auto_delete', 'auto-delete', { type: 'checkbox' }],
    ['internal', 'internal', { type: 'checkbox' }],
    ['arguments', 'Arguments', { kind: 'area', placeholder: '{"alternate-exchange": "other"}' }],
  ], 'Declare', async ({ vhost, name, ...rest }) => {
    await put(`exchanges/${part(vhost)}/${part(name)}`, { ...rest, arguments: json(rest.arguments, 'Arguments') });
    toast(`Exchange ${name} is there.`);
    again();
  })));
  return { title: 'Exchanges', every: 5000, refresh: element.refresh, element: [element, declare] };
}

// Bindings with a button that removes each; `other` shows the end that is not this page.
export function bindings(rows, other, changed) {
  const remove = (row) => row.source !== '' && button('Unbind', async () => {
    const kind = row.destination_type === 'queue' ? 'q' : 'e';
    await del(`bindings/${part(row.vhost)}/e/${part(row.source)}/${kind}/${part(row.destination)}/${part(row.properties_key)}`);
    changed();
  }, 'bad');
  return plain([
    { title: other === 'source' ? 'From' : 'To', cell: (row) => (other === 'source' ? toExchange(row.vhost, row.source)
      : row.destination_type === 'queue' ? toQueue(row.vhost, row.destination) : [toExchange(row.vhost, row.destination), ' ', pills(['exchange'])]) },
    { title: 'Routing key', cell: (row) => h('span', { class: 'mono' }, row.routing_key) },
    { title: 'Arguments', cell: (row) => (Object.keys(row.arguments).length ? h('span', { class: 'mono' }, JSON.stringify(row.arguments)) : '') },
    { title: '', n: true, cell: (row) => remove(row) || '' },
  ], rows, 'no bindings');
}

const LAST = 'leveret.publish';

// Publishes by hand. What was written last is there the next time.
export function publisher(vhost, exchange, key) {
  const last = JSON.parse(sessionStorage.getItem(LAST) ?? '{}');
  return form([
    ['routing_key', 'Routing key', { value: key ?? last.routing_key ?? '' }],
    ['delivery_mode', 'Delivery', { options: ['persistent', 'transient'] }],
    ['content_type', 'Content type', { value: last.content_type ?? '' }],
    ['headers', 'Headers', { kind: 'area', placeholder: '{"name": "value"}', value: last.headers ?? '' }],
    ['properties', 'Further properties', { kind: 'area', placeholder: '{"correlation_id": "1", "expiration": "60000"}', value: last.properties ?? '' }],
    ['payload', 'Body', { kind: 'area', value: last.payload ?? '' }],
  ], 'Publish', async (values) => {
    sessionStorage.setItem(LAST, JSON.stringify(values));
    const properties = { ...json(values.properties, 'Further properties'), delivery_mode: values.delivery_mode === 'persistent' ? 2 : 1 };
    if (values.content_type) properties.content_type = values.content_type;
    if (values.headers.trim()) properties.headers = json(values.headers, 'Headers');
    const { routed } = await post(`exchanges/${part(vhost)}/${exchangePart(exchange)}/publish`, {
      properties, routing_key: values.routing_key, payload: values.payload, payload_encoding: 'string',
    });
    toast(routed ? 'Published.' : 'Published, but no queue got it: no binding matches.', routed ? '' : 'warn');
  });
}

export function exchange({ names: [vhost, given] }) {
  const name = given === 'amq.default' ? '' : given;
  const path = `exchanges/${part(vhost)}/${exchangePart(name)}`;
  const flowing = chart('Messages each second', rate);
  const [facts, out, into] = [h('div'), h('div'), h('div')];
  const refresh = async () => {
    const [one, sources, targets] = await Promise.all([
      get(`${path}?${SAMPLES}`), name === '' ? [] : get(`${path}/bindings/source`), get(`${path}/bindings/destination`),
    ]);
    drawRates(flowing, one.message_stats, [['in', 'publish_in', 'c1'], ['out, to queues', 'publish_out', 'c2']]);
    fill(facts, card('Exchange', list([['Type', one.type], ['Virtual host', one.vhost], ['Features', features(one)], ['Policy', one.policy]])));
    fill(out, card(name === '' ? 'Every queue is bound with its name' : `Bindings from here (${sources.length})`,
      name === '' ? undefined : bindings(sources.slice(0, 500), 'destination', refresh)));
    fill(into, targets.length ? card('Bindings to here', bindings(targets, 'source', refresh)) : '');
  };
  const bind = name !== '' && folded('Bind', () => form([
    ['kind', 'To', { options: ['queue', 'exchange'] }], ['destination', 'Name', { required: true }], ['routing_key', 'Routing key'],
    ['arguments', 'Arguments', { kind: 'area', placeholder: '{"x-match": "all"}' }],
  ], 'Bind', async (values) => {
    await post(`bindings/${part(vhost)}/e/${part(name)}/${values.kind === 'queue' ? 'q' : 'e'}/${part(values.destination)}`,
      { routing_key: values.routing_key, arguments: json(values.arguments, 'Arguments') });
    toast('Bound.');
    await refresh();
  }));
  const remove = name !== '' && !name.startsWith('amq.') && button('Delete', async () => {
    if (!confirm(`Delete the exchange ${name} with its bindings?`)) return;
    await del(path);
    location.hash = '#/exchanges';
  }, 'bad');
  return {
    title: shown(name), every: 5000, refresh,
    element: [h('div', { class: 'head' }, h('h1', {}, shown(name)), h('span', { class: 'grow' }), remove),
      flowing, facts, out, into, bind, folded('Publish a message', () => publisher(vhost, name))],
  };
}
