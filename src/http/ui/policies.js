// Policies, operator policies, and limits of virtual hosts and users.

import { del, get, optional, part, put } from './api.js';
import { button, card, fill, folded, form, h, json, pills, toast } from './dom.js';
import { plain } from './table.js';
import { vhostField } from './vhosts.js';

const APPLY = ['all', 'queues', 'classic_queues', 'quorum_queues', 'streams', 'exchanges'];

export function policies({ is }) {
  const [users, operators, limits] = [h('div'), h('div'), h('div')];
  const table = (kind, title, rows, may, refresh) => card(title, plain([
    { title: 'Virtual host', cell: (row) => row.vhost }, { title: 'Name', cell: (row) => row.name },
    { title: 'Pattern', cell: (row) => h('span', { class: 'mono' }, row.pattern) }, { title: 'Applies to', cell: (row) => row['apply-to'] },
    { title: 'Definition', cell: (row) => pills(Object.entries(row.definition).map(([key, value]) => `${key}: ${JSON.stringify(value)}`)) },
    { title: 'Priority', n: true, cell: (row) => row.priority },
    { title: '', n: true, cell: (row) => (may ? button('Delete', async () => { await del(`${kind}/${part(row.vhost)}/${part(row.name)}`); await refresh(); }, 'bad') : '') },
  ], rows, 'none'));
  const refresh = async () => {
    const [own, operator, ofVhosts, ofUsers] = await Promise.all(['policies', 'operator-policies', 'vhost-limits', 'user-limits'].map((path) => optional(get(path), [])));
    fill(users, table('policies', 'Policies', own, is('policymaker'), refresh));
    fill(operators, operator.length || is('administrator') ? table('operator-policies', 'Operator policies', operator, is('administrator'), refresh) : '');
    const rows = [...ofVhosts.map((row) => ({ kind: 'vhost-limits', name: row.vhost, ...row })), ...ofUsers.map((row) => ({ kind: 'user-limits', name: row.user, ...row }))]
      .flatMap((row) => Object.entries(row.value).map(([limit, value]) => ({ ...row, limit, value })));
    fill(limits, card('Limits', plain([
      { title: 'Of', cell: (row) => (row.kind === 'vhost-limits' ? 'virtual host' : 'user') }, { title: 'Name', cell: (row) => row.name },
      { title: 'Limit', cell: (row) => row.limit }, { title: 'Value', n: true, cell: (row) => row.value },
      { title: '', n: true, cell: (row) => (is('administrator') ? button('Remove', async () => { await del(`${row.kind}/${part(row.name)}/${part(row.limit)}`); await refresh(); }, 'bad') : '') },
    ], rows, 'none')));
  };
  const add = is('policymaker') && folded('Set a policy', () => vhostField((field) => form([
    field, ['kind', 'Kind', { options: is('administrator') ? ['policies', 'operator-policies'] : ['policies'] }],
    ['name', 'Name', { required: true }], ['pattern', 'Names that match', { required: true, placeholder: '^orders\\.' }],
    ['apply-to', 'Applies to', { options: APPLY }], ['priority', 'Priority', { type: 'number', value: 0 }],
    ['definition', 'Definition', { kind: 'area', placeholder: '{"max-length": 10000, "dead-letter-exchange": "dead"}', required: true }],
  ], 'Set', async ({ vhost, kind, name, ...rest }) => {
    await put(`${kind}/${part(vhost)}/${part(name)}`, { ...rest, priority: Number(rest.priority), definition: json(rest.definition, 'The definition') });
    toast(`Policy ${name} is set.`);
    await refresh();
  })));
  const limit = is('administrator') && folded('Set a limit', () => form([
    ['kind', 'Of', { options: ['vhost-limits', 'user-limits'] }], ['name', 'Name', { required: true }],
    ['limit', 'Limit', { options: ['max-connections', 'max-queues', 'max-channels'] }], ['value', 'Value', { type: 'number', required: true }],
  ], 'Set', async ({ kind, name, limit: what, value }) => {
    await put(`${kind}/${part(name)}/${part(what)}`, { value: Number(value) });
    toast('Set.');
    await refresh();
  }));
  return { title: 'Policies and limits', every: 0, refresh, element: [users, add, operators, limits, limit] };
}
