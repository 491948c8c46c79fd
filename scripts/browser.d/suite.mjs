// A real browser at real gateways: what lets it in, and what keeps it out.
import { after, before, test } from 'node:test'
import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import path from 'node:path'
import { Gateway, Profile, caddy, clientIP, endAll, forward, freePort, gatewayIP, openBrowser, release, token, trust, until, work } from './world.mjs'

// What the Control UI asks for.
const asked = ['operator.admin', 'operator.approvals', 'operator.pairing', 'operator.questions', 'operator.read', 'operator.write']
const owner = [...asked, 'operator.talk.secrets'].sort()

let browser, gateway

before(async () => {
  gateway = new Gateway('open', await freePort())
  await gateway.start()
  browser = await openBrowser(['nas', 'nas.local', 'gateway.example'])
})

after(async () => {
  await browser?.close()
  await gateway?.stop()
  endAll()
})

const at = host => `http://${host}:${gateway.port}`

async function visited(t, address) {
  const profile = await Profile.fresh(browser)
  t.after(() => profile.close())
  return { profile, answer: await profile.open(address) }
}

// foretold is what "probe --browser" says, which is compared with what the browser meets.
async function foretold(page, code, words, gate = gateway) {
  const probe = await gate.bootstrap('probe', '--browser', page)
  assert.equal(probe.code, code, probe.stdout + probe.stderr)
  assert.match(probe.stdout, words)
}

// approve is what a person does. The request is the newest one of the browser: a page
// that asks again may have replaced the one before.
function approve(answer) {
  return until('the browser is approved', async () => {
    const request = (await gateway.pending()).find(({ deviceId }) => deviceId === answer.details.deviceId)
    return request && (await gateway.bootstrap('approve', request.requestId)).code === 0
  })
}

test('a port that is published as it is lets a browser on localhost in, with the token', async t => {
  await forward(gateway.port, gateway.port)
  const { profile, answer } = await visited(t, `${at('localhost')}/#token=${token}`)
  assert.deepEqual([answer.in, [...answer.scopes ?? []].sort()], [true, asked])
  await profile.sees('Ask OpenClaw', 'localhost')
  await foretold(at('localhost'), 0, /nobody has to approve it/)
})

test('a port that is published as another one is another origin', async t => {
  const other = await freePort()
  await forward(other, gateway.port)
  const { profile, answer } = await visited(t, `http://localhost:${other}/#token=${token}`)
  assert.deepEqual([answer.in, answer.code], [false, 'CONTROL_UI_ORIGIN_NOT_ALLOWED'])
  await profile.sees('Browser origin not allowed', 'remapped-port')
  await foretold(`http://localhost:${other}`, 18, new RegExp(`publish the port as it is.*${gateway.port}[^]*"allowedOrigins":.*"http://localhost:${other}"`))
})

test('the address of the machine needs a person once, and the page goes on by itself', async t => {
  const { profile, answer } = await visited(t, `${at(gatewayIP)}/#token=${token}`)
  assert.deepEqual([answer.code, answer.details.requestedScopes.toSorted()], ['PAIRING_REQUIRED', asked])
  await profile.sees('Approve this browser', 'pending')
  await approve(answer)
  await profile.connected()
  await profile.sees('Ask OpenClaw', 'approved')
  await foretold(at(gatewayIP), 12, /a new one needs a link or an approval[^]*bootstrap link --url/)
})

for (const name of ['nas', 'gateway.example']) {
  test(`the name ${name} is an origin that nobody has allowed`, async t => {
    const { profile, answer } = await visited(t, `${at(name)}/#token=${token}`)
    assert.deepEqual([answer.in, answer.code], [false, 'CONTROL_UI_ORIGIN_NOT_ALLOWED'])
    await profile.sees('Browser origin not allowed', name)
    await foretold(at(name), 18, new RegExp(`"allowedOrigins":\\[.*"${at(name)}"\\]`))
  })
}

test('a name that ends in .local is as good as an address', async t => {
  const { profile, answer } = await visited(t, `${at('nas.local')}/#token=${token}`)
  assert.equal(answer.code, 'PAIRING_REQUIRED')
  await approve(answer)
  await profile.connected()
})

test('a proxy that nobody has named is refused', async t => {
  const port = await freePort()
  const proxy = await caddy('plain', `{\n\tadmin off\n\tauto_https off\n}\nhttp://:${port} {\n\treverse_proxy 127.0.0.1:${gateway.port}\n}\n`, port)
  t.after(() => proxy.stop())
  const { profile, answer } = await visited(t, `http://${gatewayIP}:${port}/#token=${token}`)
  assert.equal(answer.status, 403)
  assert.match(answer.text, /proxy_attribution_required/)
  await profile.sees('proxy_attribution_required', 'unnamed-proxy')
  await foretold(`http://${gatewayIP}:${port}`, 14, /"trustedProxies":\["ADDRESS-OF-THE-PROXY"\]/)
  assert.deepEqual((await gateway.pending()).length, 0, 'a question leaves a request behind')
})

async function link(...more) {
  const { code, stdout, stderr } = await gateway.bootstrap('link', '--json', '--url', at(gatewayIP), ...more) // the last --url counts
  assert.equal(code, 0, stderr)
  const made = JSON.parse(stdout)
  made.secret = new URLSearchParams(new URL(made.url).hash.slice(1)).get('bootstrapToken')
  assert.ok(!stderr.includes(made.secret), 'the secret is in the log')
  return made
}

const rowsOf = secret => gateway.rows('SELECT device_id FROM device_bootstrap_tokens WHERE token_key = ?', secret)

const refused = 'AUTH_BOOTSTRAP_TOKEN_INVALID'

test('a link lets one browser in, without token and person, and no second one', async t => {
  const made = await link()
  const { profile, answer } = await visited(t, made.url)
  assert.deepEqual([answer.in, answer.scopes?.toSorted()], [true, owner])
  await profile.sees('Ask OpenClaw', 'link')
  assert.ok(!profile.page.url().includes(made.secret), 'the secret stays in the address bar')
  assert.equal((await profile.open(`${at(gatewayIP)}/`)).in, true, 'the plain address, afterwards')

  const second = await visited(t, made.url)
  assert.deepEqual([second.answer.in, second.answer.code], [false, refused])
  await second.profile.sees('Gateway secret rejected', 'link-used')

  assert.deepEqual(rowsOf(made.secret), [])
  assert.ok(!gateway.log().includes(made.secret), "the secret is in the gateway's log")
  const ours = path.join(gateway.state, 'bootstrap')
  for (const name of readdirSync(ours, { recursive: true, withFileTypes: true }).filter(entry => entry.isFile())) {
    assert.ok(!readFileSync(path.join(name.parentPath, name.name), 'utf8').includes(made.secret), `the secret is in ${name.name}`)
  }
})

test('a link is refused after ten minutes', async t => {
  const made = await link()
  gateway.rows('UPDATE device_bootstrap_tokens SET ts = ts - 600001, issued_at_ms = issued_at_ms - 600001 WHERE token_key = ?', made.secret)
  const { profile, answer } = await visited(t, made.url)
  assert.deepEqual([answer.in, answer.code], [false, refused])
  await profile.sees('Gateway secret rejected', 'link-expired')
})

test('a link is refused after it was revoked', async t => {
  const made = await link()
  assert.match((await gateway.bootstrap('status')).stdout, new RegExp(`^browser link +${made.id}, until .*, not used yet`, 'm'))
  assert.equal((await gateway.bootstrap('link', '--revoke')).code, 0)
  assert.deepEqual(rowsOf(made.secret), [])
  const { profile, answer } = await visited(t, made.url)
  assert.deepEqual([answer.in, answer.code], [false, refused])
  await profile.sees('Gateway secret rejected', 'link-revoked')
})

test('--approve-browser admits one browser and leaves the next one pending', async t => {
  const watcher = await gateway.watch(`--approve=token+cidr:${clientIP}/32`, '--approve-browser')
  t.after(() => watcher.stop())
  const { profile } = await visited(t, `${at(gatewayIP)}/#token=${token}`)
  assert.deepEqual((await profile.connected()).scopes.toSorted(), asked)
  const second = await visited(t, `${at(gatewayIP)}/#token=${token}`)
  assert.equal(second.answer.code, 'PAIRING_REQUIRED')
  await until('the watcher leaves it pending', () => watcher.log().includes('--approve-max is reached: 1'))
  assert.ok(!second.profile.answers.some(answer => answer.in))
})

test('--approve-browser admits nobody after its time', async t => {
  const watcher = await gateway.watch('--approve=token', '--approve-browser', '--approve-max', '9', '--approve-for', '1ms')
  t.after(() => watcher.stop())
  const { profile, answer } = await visited(t, `${at(gatewayIP)}/#token=${token}`)
  assert.equal(answer.code, 'PAIRING_REQUIRED')
  await until('the watcher leaves it pending', () => watcher.log().includes('the time of --approve-for is over'))
  assert.ok(!profile.answers.some(answer => answer.in))
})

test('behind a reverse proxy with TLS: first by policy, then by a link, over a reload and a restart', async t => {
  await gateway.stop()
  const port = await freePort()
  gateway = new Gateway('proxied', await freePort())
  const page = `https://gateway.example:${port}`
  const proxy = await caddy('tls', `{\n\tadmin off\n\tskip_install_trust\n\tauto_https disable_redirects\n}\n${page} {\n\ttls internal\n\treverse_proxy 127.0.0.1:${gateway.port}\n}\n`, port)
  t.after(() => proxy.stop())
  await trust()
  await browser.close()
  browser = await openBrowser(['gateway.example'])

  // What the program says is what has to be added, to the letter.
  const { stdout } = await gateway.bootstrap('status', '--json', '--origin', page, '--trusted-proxy', '127.0.0.1')
  const added = JSON.parse(stdout).findings.map(({ mend }) => /^in .*openclaw.json: (\{.*\})   then/.exec(mend ?? '')?.[1]).filter(Boolean).map(text => JSON.parse(text).gateway)
  assert.equal(added.length, 2)
  gateway.configure(Object.assign({}, ...added))

  await gateway.start(process.env.BOOTSTRAP, 'run', `--approve=first+cidr:${clientIP}/32`, '--approve-browser', '--')
  const first = await visited(t, `${at(gatewayIP)}/#token=${token}`)
  assert.deepEqual((await first.profile.connected()).scopes.toSorted(), asked)

  await foretold(page, 12, /a new one needs a link/)
  const made = await link('--url', page)
  const { profile, answer } = await visited(t, made.url)
  assert.deepEqual([answer.in, answer.scopes?.toSorted()], [true, owner])
  await profile.sees('Ask OpenClaw', 'tls')
  assert.equal((await profile.open(`${page}/`)).in, true, 'after a reload')
  profile.answers = []
  await gateway.stop()
  await gateway.start(process.env.BOOTSTRAP, 'run', '--')
  await profile.connected()
  assert.equal((await profile.open(`${page}/`)).in, true, 'after a restart of the gateway')
})
