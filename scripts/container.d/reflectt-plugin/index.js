// A channel plugin for the smoke test, written from the gateway's own documentation
// (docs/plugins of the openclaw package, 2026.9.6). It speaks to the same endpoints of
// reflectt-node as the plugin that people use, which is not ours to ship: it reads the
// events of GET /events/subscribe, publishes the models by POST
// /openclaw/models/publish, and answers by POST /chat/messages.
import { defineChannelPluginEntry } from 'openclaw/plugin-sdk/channel-core';

const channel = 'reflectt';

function account(cfg) {
  const section = cfg.channels?.[channel] ?? {};
  return { accountId: 'default', enabled: section.enabled !== false, configured: Boolean(section.url), url: section.url };
}

async function post(url, body, signal) {
  const answer = await fetch(url, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body), signal });
  if (!answer.ok) throw new Error(`POST ${url}: ${answer.status}`);
}

// envelope is what reflectt-node keeps about the gateway's models.
function envelope(cfg) {
  const providers = Object.entries(cfg.models?.providers ?? {});
  const now = Date.now();
  return {
    evaluatedAt: now, publishedAt: now, ok: true, errors: [], cliVersion: null,
    catalog: {
      providers: providers.map(([id]) => ({ id, authState: 'authenticated' })),
      models: providers.flatMap(([id, provider]) => (provider.models ?? []).map((model) => ({
        key: `${id}/${model.id}`, provider: id, displayName: model.name ?? null, available: true,
      }))),
    },
  };
}

// events yields what a stream of server-sent events has: its type, and its data.
async function* events(body) {
  let text = '';
  for await (const chunk of body.pipeThrough(new TextDecoderStream())) {
    const frames = (text + chunk).split('\n\n');
    text = frames.pop();
    for (const frame of frames) {
      const fields = Object.fromEntries(frame.split('\n').map((line) => [line.slice(0, line.indexOf(':')), line.slice(line.indexOf(':') + 1).trim()]));
      if (fields.data) yield { type: fields.event, data: JSON.parse(fields.data) };
    }
  }
}

// answer runs the agent that a message names, and posts what it says.
async function answer({ cfg, channelRuntime, account: { url }, log }, message) {
  const agent = /@(\w+)/.exec(message.content ?? '')?.[1];
  if (!agent || message.from === agent) return;
  log?.info?.(`${message.from} asks @${agent}`);
  const ctx = channelRuntime.reply.finalizeInboundContext({
    Body: message.content, BodyForAgent: message.content, CommandBody: message.content,
    From: `${channel}:${message.channel}`, To: message.channel, SessionKey: `agent:${agent}:${channel}:${message.channel}`,
    AccountId: 'default', MessageSid: message.id, ChatType: 'group', SenderName: message.from, SenderId: message.from,
    Provider: channel, Surface: channel, OriginatingChannel: channel, OriginatingTo: message.channel,
    WasMentioned: true, CommandAuthorized: false,
  });
  await channelRuntime.reply.dispatchReplyWithBufferedBlockDispatcher({
    ctx, cfg,
    dispatcherOptions: {
      deliver: (payload) => post(`${url}/chat/messages`, { from: agent, channel: message.channel, content: payload.text }),
      onError: (err) => log?.error?.(`no answer: ${err}`),
    },
  });
}

async function listen(context) {
  const { cfg, account: { url }, abortSignal: signal, log } = context;
  while (!signal.aborted) {
    try {
      const stream = await fetch(`${url}/events/subscribe`, { signal });
      if (!stream.ok) throw new Error(`GET ${url}/events/subscribe: ${stream.status}`);
      await post(`${url}/openclaw/models/publish`, envelope(cfg), signal);
      log?.info?.(`connected to ${url}`);
      for await (const { type, data } of events(stream.body)) {
        if (type === 'message_posted') answer(context, data).catch((err) => log?.error?.(`${err}`));
      }
    } catch (err) {
      if (!signal.aborted) log?.warn?.(`${err}; again in a second`);
    }
    await new Promise((done) => setTimeout(done, 1000));
  }
}

const plugin = {
  id: channel,
  meta: { id: channel, label: 'Reflectt', selectionLabel: 'Reflectt', docsPath: '/channels/reflectt', blurb: 'For the smoke test.' },
  capabilities: { chatTypes: ['group'] },
  reload: { configPrefixes: [`channels.${channel}`] },
  config: {
    listAccountIds: () => ['default'],
    resolveAccount: account,
    defaultAccountId: () => 'default',
    isEnabled: (account) => account.enabled,
    isConfigured: (account) => account.configured,
    describeAccount: ({ accountId, enabled, configured }) => ({ accountId, enabled, configured }),
  },
  outbound: { deliveryMode: 'direct', sendText: async ({ cfg, to, text }) => {
    await post(`${account(cfg).url}/chat/messages`, { from: 'openclaw', channel: to, content: text });
    return { channel, messageId: String(Date.now()) };
  } },
  gateway: { startAccount: listen },
};

export default defineChannelPluginEntry({ id: 'smoke-reflectt', name: 'Reflectt (smoke test)', description: 'For the smoke test.', plugin });
