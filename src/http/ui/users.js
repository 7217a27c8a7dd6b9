// Users and what they may do.

import { del, get, optional, part, put } from './api.js';
import { button, card, fill, folded, form, h, list, pills, toast } from './dom.js';
import { plain } from './table.js';
import { vhostField } from './vhosts.js';

const TAGS = 'administrator, monitoring, policymaker, management';

export function users() {
  const place = h('div');
  const refresh = async () => {
    const [all, permissions] = await Promise.all([get('users'), get('permissions')]);
    const vhostsOf = (name) => permissions.filter((one) => one.user === name).map((one) => one.vhost);
    fill(place, card('Users', plain([
      { title: 'Name', cell: (one) => h('a', { href: `#/user/${part(one.name)}` }, one.name) },
      { title: 'Tags', cell: (one) => pills(one.tags) },
      { title: 'Virtual hosts', cell: (one) => (vhostsOf(one.name).length ? pills(vhostsOf(one.name)) : h('span', { class: 'state warn' }, 'none')) },
      { title: 'Password', cell: (one) => (one.password_hash ? 'yes' : 'none') },
    ], all)));
  };
  const add = folded('Add a user', () => form([['name', 'Name', { required: true }],
    ['password', 'Password', { type: 'password', autocomplete: 'new-password', required: true }], ['tags', 'Tags', { placeholder: TAGS }]],
  'Add', async ({ name, ...rest }) => {
    await put(`users/${part(name)}`, rest);
    toast(`User ${name} is there; it needs permissions in a virtual host.`);
    location.hash = `#/user/${part(name)}`;
  }));
  return { title: 'Users', every: 0, refresh, element: [place, add] };
}

export function user({ names: [name] }) {
  const [facts, rights, topics] = [h('div'), h('div'), h('div')];
  const path = `users/${part(name)}`;
  let known = {};
  const refresh = async () => {
    const [one, permissions, topic] = await Promise.all([
      get(path), get(`${path}/permissions`), optional(get(`${path}/topic-permissions`), []),
    ]);
    known = one;
    fill(facts, card('User', list([['Tags', one.tags.length ? pills(one.tags) : 'none: AMQP only'], ['Password', one.password_hash ? one.hashing_algorithm : 'none']])));
    const revoke = (row) => button('Revoke', async () => { await del(`permissions/${part(row.vhost)}/${part(name)}`); await refresh(); }, 'bad');
    const pattern = (key) => ({ title: key, cell: (row) => h('span', { class: 'mono' }, row[key] || '(nothing)') });
    fill(rights, card('Permissions', plain([{ title: 'Virtual host', cell: (row) => row.vhost }, pattern('configure'), pattern('write'), pattern('read'),
      { title: '', n: true, cell: revoke }], permissions, 'none: it cannot enter any virtual host')));
    fill(topics, topic.length ? card('Topic permissions', plain([{ title: 'Virtual host', cell: (row) => row.vhost },
      { title: 'Exchange', cell: (row) => row.exchange }, pattern('write'), pattern('read')], topic)) : '');
  };
  const grant = folded('Set permissions', () => vhostField((field) => form([field, ['configure', 'Configure', { value: '.*' }],
    ['write', 'Write', { value: '.*' }], ['read', 'Read', { value: '.*' }]], 'Set', async ({ vhost, ...rest }) => {
    await put(`permissions/${part(vhost)}/${part(name)}`, rest);
    await refresh();
  })));
  const change = folded('Change password or tags', () => form([
    ['password', 'New password (empty: as it is)', { type: 'password', autocomplete: 'new-password' }],
    ['tags', 'Tags', { value: (known.tags ?? []).join(', '), placeholder: TAGS }]], 'Change', async ({ password, tags }) => {
    const secret = password ? { password } : { password_hash: known.password_hash, hashing_algorithm: known.hashing_algorithm };
    await put(path, { ...secret, tags });
    toast('Changed.');
    await refresh();
  }));
  const remove = button('Delete', async () => {
    if (!confirm(`Delete the user ${name}? Its connections are closed.`)) return;
    await del(path);
    location.hash = '#/users';
  }, 'bad');
  return { title: name, every: 0, refresh, element: [h('div', { class: 'head' }, h('h1', {}, name), h('span', { class: 'grow' }), remove), facts, rights, topics, grant, change] };
}
