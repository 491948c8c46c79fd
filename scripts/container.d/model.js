// A model for the smoke test, on loopback: the OpenAI-compatible way to ask for a
// completion, streamed or not. Whatever it is asked, it wants "exec" to write a file
// with the words of the question; once that tool has answered, it says so in text.
'use strict';
const http = require('node:http');
const file = process.env.MODEL_FILE ?? '/tmp/written-by-the-agent';

function reply({ messages, tools = [] }) {
  const question = messages.findLastIndex((message) => /write \w+/.test(textOf(message)) && message.role === 'user');
  const result = messages.slice(question).findLast((message) => message.role === 'tool');
  if (result) return { content: `the tool has answered: ${textOf(result)}` };
  const exec = tools.find((tool) => tool.function?.name === 'exec');
  if (!exec) return { content: `no tool exec among ${tools.map((tool) => tool.function?.name).join(', ')}` };
  const word = /write (\w+)/.exec(textOf(messages[question] ?? {}))?.[1] ?? 'nothing';
  return { call: { command: `printf %s ${word} >${file} && echo wrote ${word}` } };
}

const textOf = ({ content }) => (Array.isArray(content) ? content.map((part) => part.text ?? '').join('') : String(content ?? ''));

http.createServer(async (request, response) => {
  let text = '';
  for await (const chunk of request) text += chunk;
  if (request.method !== 'POST') return response.writeHead(200).end('{"data":[{"id":"stub"}]}');
  const asked = JSON.parse(text);
  const { content = null, call } = reply(asked);
  console.log(`model: ${call ? `exec: ${call.command}` : content}`);
  const calls = call && [{ index: 0, id: `call_${Date.now()}`, type: 'function', function: { name: 'exec', arguments: JSON.stringify(call) } }];
  const finish = call ? 'tool_calls' : 'stop';
  const message = { role: 'assistant', content, ...(calls && { tool_calls: calls }) };
  const frame = (choice) => ({ id: 'chatcmpl-stub', created: 0, model: 'stub', choices: [{ index: 0, ...choice }] });
  const usage = { prompt_tokens: 1, completion_tokens: 1, total_tokens: 2 };
  if (!asked.stream) {
    response.writeHead(200, { 'content-type': 'application/json' });
    return response.end(JSON.stringify({ object: 'chat.completion', ...frame({ message, finish_reason: finish }), usage }));
  }
  response.writeHead(200, { 'content-type': 'text/event-stream' });
  for (const choice of [{ delta: message, finish_reason: null }, { delta: {}, finish_reason: finish }]) {
    response.write(`data: ${JSON.stringify({ object: 'chat.completion.chunk', ...frame(choice) })}\n\n`);
  }
  return response.end(`data: ${JSON.stringify({ object: 'chat.completion.chunk', ...frame({}), choices: [], usage })}\n\ndata: [DONE]\n\n`);
}).listen(Number(process.env.MODEL_PORT ?? 4446), '127.0.0.1');
