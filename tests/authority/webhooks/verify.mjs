// Gives each message of standard input, one JSON object per line, to the official verification; answers line by line.
import { createInterface } from 'node:readline';
import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';

const [modules] = process.argv.slice(2);
const found = createRequire(pathToFileURL(`${modules}/`)).resolve('@clerk/backend/webhooks');
const { verifyWebhook } = await import(pathToFileURL(found));

for await (const line of createInterface({ input: process.stdin })) {
  const { url, headers, body, secret } = JSON.parse(line);
  try {
    const event = await verifyWebhook(new Request(url, { method: 'POST', headers, body }), { signingSecret: secret });
    console.log(JSON.stringify({ event }));
  } catch (error) {
    console.log(JSON.stringify({ error: String(error?.message ?? error) }));
  }
}
