// Calls the API with @clerk/backend: one JSON object per line in, one per line out.
import { createInterface } from 'node:readline';
import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';

for (const level of ['debug', 'info', 'log', 'warn', 'error']) console[level] = () => {};
const require = createRequire(pathToFileURL(process.argv[2]));
const { createClerkClient, verifyToken } = await import(pathToFileURL(require.resolve('@clerk/backend')).href);

const snake = (name) => name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
const camel = (name) => name.replace(/_([a-z])/g, (_, letter) => letter.toUpperCase());
const renamed = (object, rename) =>
  Object.fromEntries(Object.entries(object).map(([name, value]) => [rename(name), value]));

const CALLS = {
  list: ({ sessions }, given) => sessions.getSessionList(renamed(given, camel)),
  get: ({ sessions }, { session_id }) => sessions.getSession(session_id),
  create: ({ sessions }, given) => sessions.createSession(renamed(given, camel)),
  revoke: ({ sessions }, { session_id }) => sessions.revokeSession(session_id),
  verify: ({ sessions }, { session_id, token }) => sessions.verifySession(session_id, token),
  token: ({ sessions }, given) => sessions.getToken(given.session_id, undefined, given.expires_in_seconds),
  template_token: ({ sessions }, given) =>
    sessions.getToken(given.session_id, given.template_name, given.expires_in_seconds),
  refresh: ({ sessions }, { session_id, format_, ...given }) =>
    sessions.refreshSession(session_id, { ...given, ...(format_ && { format: format_ }) }),
  jwks: ({ jwks }) => jwks.getJwks(),
  handshake_payload: ({ clients }, given) => clients.getHandshakePayload(given),
};

async function authenticated(client, { url, headers }) {
  const state = await client.authenticateRequest(new Request(url, { headers }));
  const { userId, orgSlug } = state.status === 'signed-in' ? state.toAuth() : {};
  return {
    state: state.status,
    reason: state.reason ?? null,
    location: state.headers.get('location'),
    cookies: state.headers.getSetCookie(),
    user_id: userId ?? null,
    org_slug: orgSlug ?? null,
  };
}

function plain(given) {
  if (given && Array.isArray(given.data)) {
    return { type: 'Page', value: { data: given.data.map((item) => plain(item).value), total_count: given.totalCount } };
  }
  const type = Array.isArray(given) ? 'Array' : (given?.constructor?.name ?? typeof given);
  return { type: type.replace(/^_/, ''), value: typeof given === 'object' ? renamed(given, snake) : given };
}

async function answer({ operation, url, key, publishable_key, arguments: given }) {
  const options = { secretKey: key ?? undefined, apiUrl: url, telemetry: { disabled: true } };
  try {
    if (operation === 'verify_token') {
      return { type: 'claims', value: await verifyToken(given.token, { secretKey: key, apiUrl: url }) };
    }
    if (operation === 'authenticate') {
      const client = createClerkClient({ ...options, publishableKey: publishable_key, proxyUrl: url });
      return { type: 'state', value: await authenticated(client, given) };
    }
    return plain(await CALLS[operation](createClerkClient(options), given));
  } catch (error) {
    return {
      error: error.constructor.name.replace(/^_/, ''),
      text: String(error.message),
      status: error.status ?? null,
      trace_id: error.clerkTraceId ?? null,
      retry_after: error.retryAfter ?? null,
      errors: (error.errors ?? []).map(({ code, message, longMessage, meta }) => ({
        code,
        message,
        long_message: longMessage,
        meta: meta ? renamed(meta, snake) : {},
      })),
    };
  }
}

for await (const line of createInterface({ input: process.stdin })) {
  process.stdout.write(`${JSON.stringify(await answer(JSON.parse(line)))}\n`);
}
