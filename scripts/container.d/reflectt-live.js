// A server of reflectt-node's shape as it is today, for the smoke test: it opens no
// connection to the gateway. The gateway's plugin reads GET /events/subscribe and
// publishes models by POST /openclaw/models/publish, from loopback alone; messages
// come and go by /chat/messages.
'use strict';
const http = require('node:http');
const listeners = new Set();
const messages = [];
let models;

const local = (request) => ['127.0.0.1', '::1', '::ffff:127.0.0.1'].includes(request.socket.remoteAddress);

function say(message) {
  const known = { id: `msg-${messages.length + 1}`, timestamp: Date.now(), channel: 'general', ...message };
  messages.push(known);
  console.log(`reflectt: ${known.from}: ${known.content}`);
  for (const listener of listeners) listener.write(`event: message_posted\ndata: ${JSON.stringify(known)}\n\n`);
  return { success: true, message: known };
}

const routes = {
  'GET /health': () => ({ status: 'ok' }),
  'GET /team/roles': () => ({ agents: [{ name: 'main' }] }),
  'GET /events/status': () => ({ connected: listeners.size }),
  'GET /openclaw/models': () => models && { success: true, envelope: models },
  'GET /chat/messages': () => ({ messages }),
  'POST /chat/messages': (body) => say(body),
  'POST /openclaw/models/publish': (body) => {
    models = body;
    console.log(`reflectt: models published, ${body.catalog?.models.length ?? body.errors}`);
    return { success: true };
  },
};

http.createServer(async (request, response) => {
  const { pathname } = new URL(request.url, 'http://reflectt');
  const answer = (code, value) => response.writeHead(code, { 'content-type': 'application/json' }).end(JSON.stringify(value));
  if (pathname.startsWith('/openclaw/') && !local(request)) return answer(403, { success: false, error: 'Forbidden' });
  if (request.method === 'GET' && pathname === '/events/subscribe') {
    response.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-cache' }).write(': hello\n\n');
    listeners.add(response);
    console.log('reflectt: the plugin is connected');
    return response.on('close', () => listeners.delete(response));
  }
  let text = '';
  for await (const chunk of request) text += chunk;
  const value = routes[`${request.method} ${pathname}`]?.(text && JSON.parse(text));
  return value ? answer(200, value) : answer(404, { success: false });
}).listen(Number(process.env.PORT ?? 4445), process.env.HOST ?? '0.0.0.0');
