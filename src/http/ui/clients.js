// Connections and channels: lists, and one page for each.

import { del, get, part } from './api.js';
import { chart, drawRates, growth, SAMPLES } from './chart.js';
import { button, card, fill, h, list, number, octets, pills, rate, time, toast } from './dom.js';
import { paged, plain } from './table.js';

const of = (kind, name) => h('a', { href: `#/${kind}/${part(name)}` }, name);
const state = (name) => h('span', { class: `state ${name === 'running' ? '' : 'warn'}` }, name ?? 'no answer');
const speed = (value) => `${octets(value ?? 0)}/s`;
const counted = (row, name) => rate(row.message_stats?.[`${name}_details`]?.rate ?? 0);

export function connections({ params }) {
  const element = paged({
    path: 'connections',
    params,
    empty: 'Nobody is connected.',
    columns: [
      { title: 'Name', sort: 'name', cell: (row) => [of('connection', row.name), row.user_provided_name && h('div', { class: 'soft' }, row.user_provided_name)] },
      { title: 'User', sort: 'user', k: true, cell: (row) => row.user },
      { title: 'Virtual host', sort: 'vhost', k: true, cell: (row) => row.vhost },
      { title: 'State', cell: (row) => state(row.state) },
      { title: 'Channels', sort: 'channels', n: true, cell: (row) => number(row.channels) },
      { title: 'From client', sort: 'recv_oct_details.rate', n: true, cell: (row) => speed(row.recv_oct_details?.rate) },
      { title: 'To client', sort: 'send_oct_details.rate', n: true, cell: (row) => speed(row.send_oct_details?.rate) },
      { title: 'Client', cell: (row) => [row.client_properties.product, row.client_properties.version].filter(Boolean).join(' ') },
    ],
  });
  return { title: 'Connections', every: 5000, refresh: element.refresh, element };
}

const CHANNELS = [
  { title: 'Channel', cell: (row) => of('channel', row.name) },
  { title: 'Mode', cell: (row) => pills([row.confirm && 'confirms', row.transactional && 'transactions']) },
  { title: 'Consumers', n: true, sort: 'consumer_count', cell: (row) => number(row.consumer_count) },
  { title: 'Prefetch', n: true, sort: 'prefetch_count', cell: (row) => row.prefetch_count || 'none' },
  { title: 'Unacknowledged', n: true, sort: 'messages_unacknowledged', cell: (row) => number(row.messages_unacknowledged) },
  { title: 'Unconfirmed', n: true, sort: 'messages_unconfirmed', cell: (row) => number(row.messages_unconfirmed) },
  { title: 'Published', n: true, sort: 'message_stats.publish_details.rate', cell: (row) => counted(row, 'publish') },
  { title: 'Delivered', n: true, sort: 'message_stats.deliver_get_details.rate', cell: (row) => counted(row, 'deliver_get') },
  { title: 'Acknowledged', n: true, sort: 'message_stats.ack_details.rate', cell: (row) => counted(row, 'ack') },
];

export function connection({ names: [name] }) {
  const [facts, below] = [h('div', { class: 'two' }), h('div', { class: 'notes' })];
  const traffic = chart('Traffic', speed);
  const reason = h('input', { placeholder: 'reason for closing', 'aria-label': 'reason for closing' });
  const close = button('Close', async () => {
    await del(`connections/${part(name)}`, reason.value ? { 'x-reason': reason.value } : {});
    toast('Closed.');
    location.hash = '#/connections';
  }, 'bad');
  const refresh = async () => {
    const [one, channels] = await Promise.all([
      get(`connections/${part(name)}?data_rates_age=600&data_rates_incr=5`), get(`connections/${part(name)}/channels`),
    ]);
    const { capabilities, ...client } = one.client_properties;
    const words = Object.entries(client).map(([key, value]) => [key, typeof value === 'string' ? value : JSON.stringify(value)]);
    fill(facts, card('Connection', list([
      ['State', state(one.state)], ['User', one.user], ['Virtual host', one.vhost], ['Since', time(one.connected_at)],
      ['Mechanism', one.auth_mechanism], ['Heartbeat', `${one.timeout} s`], ['Largest frame', octets(one.frame_max)],
      ['Received', octets(one.recv_oct)], ['Sent', octets(one.send_oct)], ['Waits to be sent', octets(one.send_pend)],
    ])), card('Client', list([...words, ['capabilities', Object.keys(capabilities ?? {}).length !== 0 && pills(Object.keys(capabilities))]])));
    traffic.draw([
      { name: 'from client', color: 'c1', points: growth(one.recv_oct_details.samples) },
      { name: 'to client', color: 'c2', points: growth(one.send_oct_details.samples) },
    ]);
    fill(below, card('Channels', plain(CHANNELS, channels, 'no channels')));
  };
  return {
    title: name, every: 5000, refresh,
    element: [h('div', { class: 'head' }, h('h1', {}, name), h('span', { class: 'grow' }), reason, close), traffic, facts, below],
  };
}

export function channels({ params }) {
  const columns = [{ ...CHANNELS[0], sort: 'name' }, { title: 'User', k: true, cell: (row) => row.user }, { title: 'Virtual host', k: true, cell: (row) => row.vhost }, ...CHANNELS.slice(1)];
  const element = paged({ path: 'channels', params, columns, empty: 'No channels are open.' });
  return { title: 'Channels', every: 5000, refresh: element.refresh, element };
}

export const CONSUMERS = [
  { title: 'Consumer', cell: (row) => row.consumer_tag },
  { title: 'Queue', cell: (row) => h('a', { href: `#/queue/${part(row.queue.vhost)}/${part(row.queue.name)}` }, row.queue.name) },
  { title: 'Channel', cell: (row) => of('channel', row.channel_details.name) },
  { title: 'Prefetch', n: true, cell: (row) => row.prefetch_count || 'none' },
  { title: '', cell: (row) => pills([row.ack_required ? 'acknowledges' : 'no acknowledgements', row.exclusive && 'exclusive', row.active === false && 'waiting']) },
];

export function channel({ names: [name] }) {
  const [facts, below] = [h('div'), h('div')];
  const flowing = chart('Messages each second', rate);
  const refresh = async () => {
    const one = await get(`channels/${part(name)}?${SAMPLES}`);
    drawRates(flowing, one.message_stats);
    fill(facts, card('Channel', list([
      ['Connection', of('connection', one.connection_details.name)], ['User', one.user], ['Virtual host', one.vhost],
      ['Mode', pills([one.confirm && 'confirms', one.transactional && 'transactions'])],
      ['Prefetch', `${one.prefetch_count || 'none'} for each consumer, ${one.global_prefetch_count || 'none'} for all`],
      ['Unacknowledged', number(one.messages_unacknowledged)], ['Unconfirmed', number(one.messages_unconfirmed)],
      ['Uncommitted', `${number(one.messages_uncommitted)} messages, ${number(one.acks_uncommitted)} acknowledgements`],
    ])));
    fill(below, card('Consumers', plain(CONSUMERS, one.consumer_details, 'no consumers')));
  };
  return { title: name, every: 5000, refresh, element: [h('div', { class: 'head' }, h('h1', {}, name)), flowing, facts, below] };
}
