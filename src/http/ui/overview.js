// The overview: what waits, what flows, how the node is.

import { get, optional } from './api.js';
import { chart, drawLengths, drawRates, SAMPLES } from './chart.js';
import { card, fill, h, list, number, octets, pills, rate, span } from './dom.js';
import { plain } from './table.js';

const tile = (name, value, to) => h('a', { class: 'tile', href: to }, h('b', {}, value), h('span', {}, name));

function meter(name, used, most, show = octets) {
  const bar = h('i', { class: most && 0.9 < used / most ? 'high' : undefined });
  bar.style.width = `${most ? Math.min(100, (used / most) * 100) : 0}%`;
  return [name, h('div', {}, `${show(used)} of ${show(most)}`, h('div', { class: 'meter' }, bar))];
}

export function overview({ is }) {
  const [notes, tiles, below] = [h('div', { class: 'notes' }), h('div', { class: 'tiles' }), h('div', { class: 'two' })];
  const waiting = chart('Messages that wait');
  const flowing = chart('Messages each second', rate);
  const refresh = async () => {
    const [all, nodes] = await Promise.all([
      get(`overview?${SAMPLES}`),
      is('monitoring') ? optional(get('nodes'), []) : [],
    ]);
    const node = nodes[0];
    const speed = (name) => rate(all.message_stats[`${name}_details`]?.rate ?? 0);
    fill(tiles,
      tile('ready', number(all.queue_totals.messages_ready), '#/queues?sort=messages_ready&reverse=true'),
      tile('unacknowledged', number(all.queue_totals.messages_unacknowledged), '#/queues?sort=messages_unacknowledged&reverse=true'),
      tile('published', speed('publish'), '#/exchanges'),
      tile('delivered', speed('deliver_get'), '#/queues'),
      tile('queues', number(all.object_totals.queues), '#/queues'),
      tile('consumers', number(all.object_totals.consumers), '#/channels'),
      tile('connections', number(all.object_totals.connections), '#/connections'),
      tile('channels', number(all.object_totals.channels), '#/channels'));
    drawLengths(waiting, all.queue_totals);
    drawRates(flowing, all.message_stats);
    fill(notes,
      node?.mem_alarm && h('div', { class: 'note bad' }, 'The memory alarm is on: publishers wait until messages are consumed.'),
      node?.disk_free_alarm && h('div', { class: 'note bad' }, 'The disk alarm is on: publishers wait until there is space.'));
    const churn = ['connection', 'channel', 'queue'].map((kind) => {
      const [came, went] = [`${kind}_created`, kind === 'queue' ? 'queue_deleted' : `${kind}_closed`];
      return { kind, came: all.churn_rates[came], went: all.churn_rates[went], speed: all.churn_rates[`${came}_details`]?.rate };
    });
    fill(below,
      node && card(`Node ${node.name}`, list([
        meter('Memory', node.mem_used, node.mem_limit),
        node.disk_free !== undefined ? ['Disk', `${octets(node.disk_free)} free, alarm below ${octets(node.disk_free_limit)}`] : ['Disk', 'none: nothing outlives this process'],
        meter('File descriptors', node.fd_used, node.fd_total, number),
        ['Running for', span(node.uptime)],
        ['Processors', number(node.processors)],
        ['Version', `${all.product_name} ${all.product_version}, as RabbitMQ ${all.rabbitmq_version}`],
        ['Data', node.db_dir],
      ])),
      h('div', { class: 'notes' },
        card('Coming and going', plain([
          { title: '', cell: (row) => `${row.kind}s` },
          { title: 'opened', n: true, cell: (row) => number(row.came) },
          { title: 'each second', n: true, cell: (row) => rate(row.speed) },
          { title: 'closed', n: true, cell: (row) => number(row.went) },
        ], churn)),
        all.listeners && card('Listeners', h('div', {}, pills(all.listeners.map((one) => `${one.protocol} ${one.ip_address}:${one.port}`))))));
  };
  return { title: 'Overview', every: 2000, refresh, element: [notes, tiles, h('div', { class: 'two' }, waiting, flowing), below] };
}
