// Answers requests with the reference: one JSON object per line in, one per line out, in the order of their ends.
import { createInterface } from 'node:readline';

// The clock stands still, so that both engines judge at the same moment.
let now = 0;
const SystemDate = globalThis.Date;
globalThis.Date = class extends SystemDate {
  constructor(...given) {
    super(...(given.length ? given : [now]));
  }
  static now() {
    return now;
  }
};
for (const level of ['debug', 'info', 'log', 'warn', 'error']) console[level] = () => {};

const { createClerkClient } = await import('@clerk/backend');
const clients = new Map();

function clientOf({ publishableKey, secretKey, machineSecretKey, apiUrl, jwtKey }) {
  const name = `${publishableKey} ${secretKey} ${machineSecretKey} ${apiUrl} ${jwtKey}`;
  if (!clients.has(name)) {
    const options = { publishableKey, secretKey, apiUrl, jwtKey, telemetry: { disabled: true } };
    clients.set(name, createClerkClient(machineSecretKey ? { ...options, machineSecretKey } : options));
  }
  return clients.get(name);
}

function identityOf(state) {
  if (state.status !== 'signed-in') return null;
  const auth = state.toAuth();
  if (state.tokenType !== 'session_token') return machineOf(auth);
  return Object.fromEntries(
    ['userId', 'sessionId', 'orgId', 'orgSlug', 'orgRole', 'orgPermissions', 'sessionStatus'].map((name) => [
      name,
      auth[name] ?? null,
    ]),
  );
}

function machineOf(auth) {
  const { tokenType, id, subject, scopes, name, claims, userId, orgId, machineId, clientId } = auth;
  // What this type of token does not have is undefined, and so not in the JSON.
  return { tokenType, id, subject, scopes, name, claims, userId, orgId, machineId, clientId };
}

// What the session may do: one answer to each question that is asked.
function grantsOf(state, questions) {
  const auth = state.toAuth();
  return questions.map((question) => auth.has(question));
}

async function answer({ id, nowMs, instance, options, request, questions }) {
  now = nowMs;
  try {
    const { url, method, headers } = request;
    const state = await clientOf(instance).authenticateRequest(new Request(url, { method, headers }), options);
    return {
      id,
      state: state.status,
      reason: state.reason ?? '',
      location: state.headers.get('location') ?? '',
      cookies: state.headers.getSetCookie(),
      identity: identityOf(state),
      ...(questions && { grants: grantsOf(state, questions) }),
    };
  } catch (error) {
    return { id, state: 'threw', reason: String(error?.message ?? error), location: '', cookies: [], identity: null };
  }
}

for await (const line of createInterface({ input: process.stdin })) {
  process.stdout.write(`${JSON.stringify(await answer(JSON.parse(line)))}\n`);
}
