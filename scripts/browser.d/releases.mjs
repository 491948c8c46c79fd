// What a browser meets where the releases differ, as each was measured. The same table,
// in words, stands in docs/browser.md. Another release is taken for the nearest earlier one.
const measured = {
  '2026.5.28': {
    // What the Control UI asks for.
    asks: ['operator.admin', 'operator.approvals', 'operator.pairing', 'operator.read', 'operator.write'],
    // Its device key comes from WebCrypto alone, which a browser has on https and localhost.
    plainHTTP: false,
    links: false,
    // A proxy that nobody has named makes its browsers strangers, and is let through.
    refusesProxies: false,
    inside: 'Ready to chat',
    waiting: 'Device pairing required',
    // An approved page says this, and waits for its user to load it again.
    afterApproval: 'Reconnect after the approval completes.',
  },
  '2026.8.2': {
    asks: ['operator.admin', 'operator.approvals', 'operator.pairing', 'operator.questions', 'operator.read', 'operator.write'],
    plainHTTP: true,
    links: true,
    refusesProxies: true,
    inside: 'Ask OpenClaw',
    waiting: 'Device pairing required',
    afterApproval: 'Reconnect after the approval completes.',
    badLink: 'Could not connect',
  },
  '2026.9.6': {
    asks: ['operator.admin', 'operator.approvals', 'operator.pairing', 'operator.questions', 'operator.read', 'operator.write'],
    plainHTTP: true,
    links: true,
    refusesProxies: true,
    inside: 'Ask OpenClaw',
    waiting: 'Approve this browser',
    // It asks again by itself.
    afterApproval: null,
    badLink: 'Gateway secret rejected',
  },
}

const older = (one, other) => one.localeCompare(other, 'en', { numeric: true }) <= 0

export function expectations(release) {
  const known = Object.keys(measured).filter(name => older(name, release)).pop()
  if (!known) throw new Error(`nothing was measured for ${release} or before`)
  return measured[known]
}
