// One queue: what is in it, why it does not move, and everything that can be done to it.

import { del, get, optional, part, post } from './api.js';
import { chart, drawLengths, drawRates, SAMPLES } from './chart.js';
import { button, card, fill, folded, form, h, json, list, number, octets, pills, rate, toast } from './dom.js';
import { bindings, publisher } from './exchanges.js';
import { CONSUMERS } from './clients.js';
import { stream } from './stream.js';
import { plain } from './table.js';
import { features, state } from './queues.js';

function message(one) {
  const { headers, ...properties } = one.properties;
  let body = one.payload;
  try { if (one.payload_encoding === 'string') body = JSON.stringify(JSON.parse(body), null, 2); } catch { /* not JSON: as it is */ }
  const facts = list([
    ['Exchange', one.exchange === '' ? '(default)' : one.exchange], ['Routing key', one.routing_key],
    ['', pills([one.redelivered && 'redelivered', octets(one.payload_bytes), one.payload_encoding === 'base64' && 'base64'])],
    ...Object.entries(properties).map(([key, value]) => [key, JSON.stringify(value)]),
  ]);
  return h('details', {}, h('summary', {}, `${one.offset ?? one.position + 1}. `, h('span', { class: 'mono' }, String(one.payload).slice(0, 80) || '(empty)')),
    facts, headers && [h('h2', {}, 'Headers'), h('pre', {}, JSON.stringify(headers, null, 2))], h('pre', {}, body));
}

// Looks at what is ready and leaves it where it is.
function browser(own, start = 0) {
  const place = h('div', { class: 'notes' });
  let from = 0;
  const read = async (next) => {
    const found = await get(`${own}/messages?offset=${next}&count=20`);
    from = next;
    before.disabled = from === 0;
    after.disabled = !found.more;
    fill(place, found.items.map(message),
      found.items.length === 0 && !found.on_disk && h('p', { class: 'soft' }, from === 0 ? 'Nothing is ready.' : 'Nothing here any more.'),
      found.on_disk && h('p', { class: 'soft' }, 'What follows is on disk and not read for looking.'));
  };
  const before = button('‹ earlier', () => read(Math.max(0, from - 20)));
  const after = button('later ›', () => read(from + 20));
  read(start).catch((error) => toast(error.message, 'bad'));
  return h('div', {}, h('div', { class: 'tools' }, button('Look again', () => read(from)), before, after), place);
}

const arrow = (moved) => toast(`${number(moved.moved)} moved${moved.stopped ? `; stopped: ${moved.stopped}` : ''}.`, moved.stopped ? 'warn' : '');

export function queue({ names: [vhost, name] }) {
  const path = `queues/${part(vhost)}/${part(name)}`;
  const own = `leveret/${path}`;
  const [waiting, flowing] = [chart('Messages that wait'), chart('Messages each second', rate)];
  const [why, facts, streamed, consumers, bound] = [h('div'), h('div', { class: 'two' }), h('div', { class: 'stack' }), h('div'), h('div')];
  let [log, isStream, kept] = [null, false, 0];
  const refresh = async () => {
    const [one, all, reasons] = await Promise.all([
      get(`${path}?${SAMPLES}`), get(`${path}/bindings`), optional(get(`${own}/why`), null),
    ]);
    [isStream, kept] = [one.type === 'stream', one.messages_ready];
    if (isStream) {
      if (log === null) fill(streamed, (log = stream(own)).element);
      await log.refresh();
      [purge, move].forEach((element) => element.remove());
    }
    drawLengths(waiting, one);
    drawRates(flowing, one.message_stats);
    if (reasons) fill(why, card(reasons.moving ? 'How it moves' : 'Why it does not move', h('div', { class: 'notes' },
      reasons.reasons.map((reason) => h('div', { class: `note ${reason.level}` }, reason.text)))));
    fill(facts, card('Queue', list([
      ['Type', one.type], ['Virtual host', one.vhost], ['State', state(one)], ['Features', features(one)], ['Policy', one.policy], ['Operator policy', one.operator_policy],
      ['Exclusive to', one.owner_pid_details?.name], ['Idle since', one.idle_since && new Date(one.idle_since).toLocaleString()],
      ['Consumers had room', one.consumers && one.type !== 'stream' ? `${Math.round(one.consumer_utilisation * 100)} % of the time` : undefined],
    ])), card('Contents', list([
      ['Ready', number(one.messages_ready)], ['Unacknowledged', number(one.messages_unacknowledged)],
      ['Bodies', octets(one.message_bytes)], ['In memory', octets(one.memory)],
      ['On disk only', one.messages_paged_out ? `${number(one.messages_paged_out)} messages` : undefined],
      ['First message of', one.head_message_timestamp && new Date(one.head_message_timestamp * 1000).toLocaleString()],
    ])));
    fill(consumers, card(`Consumers (${number(one.consumers)})`, plain(CONSUMERS.filter((column) => column.title !== 'Queue'), one.consumer_details ?? [], 'nobody consumes from it')));
    fill(bound, card('Bindings', bindings(all.filter((row) => row.source !== ''), 'source', refresh)));
  };
  const act = (text, question, action, kind) => button(text, async () => {
    if (!confirm(question)) return;
    await action();
    await refresh();
  }, kind);
  const purge = act('Purge', `Delete everything that is ready in ${name}?`, () => del(`${path}/contents`), 'bad');
  const remove = button('Delete', async () => {
    if (!confirm(`Delete the queue ${name} with everything in it?`)) return;
    await del(path);
    location.hash = '#/queues';
  }, 'bad');
  const move = folded('Move messages', () => [
    form([['exchange', 'To exchange (empty: default)'], ['routing_key', 'Routing key, or the queue’s name'], ['count', 'How many (empty: all)', { type: 'number', min: 1 }]],
      'Move', async (values) => {
        const count = values.count ? { count: Number(values.count) } : {};
        arrow(await post(`${own}/move`, { exchange: values.exchange, routing_key: values.routing_key, ...count }));
        await refresh();
      }),
    h('p', { class: 'soft' }, 'Dead letters can go back to the exchange that they were published to, with the routing key they had there.'),
    button('Redrive all dead letters', async () => { arrow(await post(`${own}/redrive`)); await refresh(); }),
  ]);
  const bind = folded('Bind', () => form([['source', 'From exchange', { required: true }], ['routing_key', 'Routing key'],
    ['arguments', 'Arguments', { kind: 'area' }]], 'Bind', async (values) => {
    await post(`bindings/${part(vhost)}/e/${part(values.source)}/q/${part(name)}`,
      { routing_key: values.routing_key, arguments: json(values.arguments, 'Arguments') });
    toast('Bound.');
    await refresh();
  }));
  return {
    title: name, every: 2000, refresh,
    element: [h('div', { class: 'head' }, h('h1', {}, name), h('span', { class: 'grow' }), purge, remove),
      h('div', { class: 'two' }, waiting, flowing), why, facts, streamed, consumers, bound,
      folded('Look at messages', () => browser(own, isStream ? Math.max(0, kept - 20) : 0)), folded('Publish a message', () => publisher(vhost, '', name)), move, bind],
  };
}
