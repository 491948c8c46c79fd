// A client of reflectt-node's shape, for the smoke test: protocol 3..3, cli/cli,
// platform node, a token or none, no device, and connect as soon as the socket is
// open. It asks for the models, tells what became of it, and tries again. Like
// reflectt-node it answers /health on port 4445.
'use strict';
const http = require('node:http');
let last = 'not connected yet';

function tell(text) {
  if (text !== last) console.log('reflectt: ' + text);
  last = text;
}

function connect() {
  const socket = new WebSocket(process.env.OPENCLAW_GATEWAY_URL);
  const ask = (id, method, params) => socket.send(JSON.stringify({ type: 'req', id, method, params }));
  socket.onopen = () => ask('1', 'connect', {
    minProtocol: 3, maxProtocol: 3, role: 'operator', scopes: ['operator.read', 'operator.write'],
    client: { id: 'cli', version: '1.0.0', platform: 'node', mode: 'cli' },
    auth: { token: process.env.OPENCLAW_GATEWAY_TOKEN },
  });
  socket.onmessage = (event) => {
    const frame = JSON.parse(event.data);
    if (frame.type !== 'res') return;
    if (!frame.ok) tell(`refused: ${frame.error.message}`);
    else if (frame.id === '1') ask('2', 'models.list', {});
    else tell(`models.list answered, ${frame.payload.models.length} models`);
  };
  socket.onerror = () => {};
  socket.onclose = (event) => {
    tell(`closed with ${event.code} ${event.reason}`);
    if (process.env.ONCE) process.exit(1);
    setTimeout(connect, 1000);
  };
}

if (!process.env.ONCE) http.createServer((_, answer) => answer.end(JSON.stringify({ last }))).listen(4445, '0.0.0.0');
connect();
