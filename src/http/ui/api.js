// The HTTP API of the broker that served this page. The login lives as long as the tab.

const KEY = 'leveret.login';
export class LoggedOut extends Error {}

export function login(name, password) {
  const octets = new TextEncoder().encode(`${name}:${password}`);
  sessionStorage.setItem(KEY, btoa(String.fromCharCode(...octets)));
}

export const logout = () => sessionStorage.removeItem(KEY);
export const isLoggedIn = () => sessionStorage.getItem(KEY) !== null;
export const part = encodeURIComponent;
export const exchangePart = (name) => part(name === '' ? 'amq.default' : name);

async function call(method, path, body, headers = {}) {
  const login = sessionStorage.getItem(KEY);
  if (login === null) throw new LoggedOut('logged out');
  let answer;
  try {
    // Without credentials of the browser, so that it never asks for a password itself.
    answer = await fetch(`api/${path}`, {
      method,
      credentials: 'omit',
      cache: 'no-store',
      headers: { authorization: `Basic ${login}`, ...headers },
      body: body === undefined ? undefined : JSON.stringify(body),
    });
  } catch {
    throw new Error('The broker does not answer.');
  }
  const text = await answer.text();
  let value = null;
  try { value = text === '' ? null : JSON.parse(text); } catch { /* not JSON is nothing we need */ }
  if (answer.ok) return value;
  const reason = typeof value?.reason === 'string' ? value.reason : JSON.stringify(value?.reason ?? answer.statusText);
  if (answer.status === 401 && value?.error !== 'not_authorised') throw new LoggedOut(reason);
  const error = new Error(answer.status === 404 ? 'There is no such object (any more).' : reason);
  error.status = answer.status;
  throw error;
}

// Server-sent events, read by hand because EventSource cannot log in. Ends when the broker or `signal` ends it.
export async function follow(path, signal, heard) {
  const answer = await fetch(`api/${path}`, {
    credentials: 'omit', cache: 'no-store', signal,
    headers: { authorization: `Basic ${sessionStorage.getItem(KEY)}`, accept: 'text/event-stream' },
  });
  if (!answer.ok) throw new Error(answer.statusText);
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = '';
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    const events = (rest + value).split('\n\n');
    rest = events.pop();
    const fields = (event) => Object.fromEntries(event.split('\n').filter((line) => 0 < line.indexOf(':'))
      .map((line) => [line.slice(0, line.indexOf(':')), line.slice(line.indexOf(':') + 1).trimStart()]));
    heard(events.map(fields).filter((event) => event.data !== undefined));
  }
}

export const get = (path) => call('GET', path);
export const put = (path, body = {}) => call('PUT', path, body);
export const post = (path, body = {}) => call('POST', path, body);
export const del = (path, headers) => call('DELETE', path, undefined, headers);

// A part of a page that users without the right for it do without.
export async function optional(promise, otherwise) {
  try { return await promise; } catch (error) {
    if (error instanceof LoggedOut) throw error;
    return otherwise;
  }
}
