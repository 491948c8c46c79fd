// A real browser at real gateways: what lets it in, and what keeps it out.
import { after, before, test } from 'node:test'
import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import path from 'node:path'
import { expectations } from './releases.mjs'
import { Gateway, Profile, caddy, certificates, clientIP, documented, endAll, forward, freePort, gatewayIP, nginx, openBrowser, release, token, trust, until } from './world.mjs'

const expected = expectations(release)
const asked = expected.asks
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

// needsSecure is what a page on plain http meets where its release has no key there.
async function needsSecure(t, address, picture) {
  const { profile, answer } = await visited(t, `${address}/#token=${token}`)
  assert.deepEqual([answer.in, answer.code], [false, 'CONTROL_UI_DEVICE_IDENTITY_REQUIRED'])
  await profile.sees('Secure browser context required', picture)
  assert.equal(await profile.isSecure(), false)
  await foretold(address, 18, /Secure browser context required[^]*open it by https/)
}

// admitted is a page whose browser was approved.
async function admitted(profile) {
  if (expected.afterApproval) {
    await profile.sees(expected.afterApproval)
    assert.ok(!profile.answers.some(answer => answer.in), 'it goes on by itself')
    await profile.page.reload()
  }
  return await profile.connected()
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
  await profile.sees(expected.inside, 'localhost')
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

test('the address of the machine needs a person once, or https', async t => {
  if (!expected.plainHTTP) return await needsSecure(t, at(gatewayIP), 'insecure')
  const { profile, answer } = await visited(t, `${at(gatewayIP)}/#token=${token}`)
  assert.deepEqual([answer.code, answer.details.requestedScopes.toSorted()], ['PAIRING_REQUIRED', asked])
  await profile.sees(expected.waiting, 'pending')
  assert.equal(await profile.isSecure(), false, 'it has come by plain http')
  await approve(answer)
  await admitted(profile)
  await profile.sees(expected.inside, 'approved')
  await foretold(at(gatewayIP), 12, /a new one needs a link or an approval[^]*bootstrap link --url/)
})

for (const name of ['nas', 'gateway.example']) {
  test(`the name ${name} is an origin that nobody has allowed`, async t => {
    const { profile, answer } = await visited(t, `${at(name)}/#token=${token}`)
    assert.deepEqual([answer.in, answer.code], [false, 'CONTROL_UI_ORIGIN_NOT_ALLOWED'])
    await profile.sees('Browser origin not allowed', name)
    await foretold(at(name), 18, expected.plainHTTP ? new RegExp(`"allowedOrigins":\\[.*"${at(name)}"\\]`) : /open it by https/)
  })
}

test('a name that ends in .local is as good as an address', async t => {
  if (!expected.plainHTTP) return await needsSecure(t, at('nas.local'))
  const { profile, answer } = await visited(t, `${at('nas.local')}/#token=${token}`)
  assert.equal(answer.code, 'PAIRING_REQUIRED')
  await approve(answer)
  await admitted(profile)
})

test('a proxy that nobody has named is refused, or its browsers are strangers', async t => {
  const port = await freePort()
  const proxy = await caddy('plain', `{\n\tadmin off\n\tauto_https off\n}\nhttp://:${port} {\n\treverse_proxy 127.0.0.1:${gateway.port}\n}\n`, port)
  t.after(() => proxy.stop())
  if (!expected.refusesProxies) {
    await needsSecure(t, `http://${gatewayIP}:${port}`)
    assert.match(gateway.log(), /Proxy headers detected from untrusted address/)
    return
  }
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

if (!expected.links) {
  test('there is no link, and the way that there is stands in the error', async () => {
    const { code, stdout, stderr } = await gateway.bootstrap('link', '--url', at(gatewayIP))
    assert.deepEqual([code, stdout], [2, ''])
    assert.match(stderr, /knows no one-time links/)
    assert.match(stderr, /open https:\/\/HOST\/#token=TOKEN with the gateway's token, then: .*approve --list.*--approve-browser/)
  })
} else {
  test('a link lets one browser in, without token and person, and no second one', async t => {
    const made = await link()
    const { profile, answer } = await visited(t, made.url)
    assert.deepEqual([answer.in, answer.scopes?.toSorted()], [true, owner])
    await profile.sees(expected.inside, 'link')
    assert.ok(!profile.page.url().includes(made.secret), 'the secret stays in the address bar')
    assert.equal((await profile.open(`${at(gatewayIP)}/`)).in, true, 'the plain address, afterwards')

    const second = await visited(t, made.url)
    assert.deepEqual([second.answer.in, second.answer.code], [false, refused])
    await second.profile.sees(expected.badLink, 'link-used')

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
    await profile.sees(expected.badLink, 'link-expired')
  })

  test('a link is refused after it was revoked', async t => {
    const made = await link()
    assert.match((await gateway.bootstrap('status')).stdout, new RegExp(`^browser link +${made.id}, until .*, not used yet`, 'm'))
    assert.equal((await gateway.bootstrap('link', '--revoke')).code, 0)
    assert.deepEqual(rowsOf(made.secret), [])
    const { profile, answer } = await visited(t, made.url)
    assert.deepEqual([answer.in, answer.code], [false, refused])
    await profile.sees(expected.badLink, 'link-revoked')
  })
}

let trusted

// behind puts a gateway behind caddy and nginx, as docs/browser.md has their lines, with
// what "status" says has to be added, to the letter. It returns their pages.
async function behind(name, ...wrapper) {
  await gateway.stop()
  gateway = new Gateway(name, await freePort())
  const pages = {}
  for (const proxy of ['caddy', 'nginx']) pages[proxy] = `https://gateway.example:${await freePort()}`
  await caddy(`${name}-caddy`, `{\n\tadmin off\n\tskip_install_trust\n\tauto_https disable_redirects\n}\n` + documented('caddyfile', {
    'https://gateway.example': pages.caddy, 18789: gateway.port,
  }), new URL(pages.caddy).port)
  trusted ??= trust().then(() => browser.close()).then(() => openBrowser(['gateway.example']))
  browser = await trusted
  await nginx(`${name}-nginx`, documented('nginx', { 443: new URL(pages.nginx).port, 18789: gateway.port, '/etc/nginx': certificates }), new URL(pages.nginx).port)

  const { stdout } = await gateway.bootstrap('status', '--json', '--origin', pages.caddy, '--origin', pages.nginx, '--trusted-proxy', '127.0.0.1')
  const added = JSON.parse(stdout).findings.map(({ mend }) => /^in .*openclaw.json: (\{.*\})   then/.exec(mend ?? '')?.[1]).filter(Boolean).map(text => JSON.parse(text).gateway)
  assert.equal(added.length, 2)
  gateway.configure(Object.assign({}, ...added))
  await gateway.start(...wrapper)
  return pages
}

// forPolicies is a page at which browsers ask; where they need https, behind a proxy.
let forPolicies = async () => {
  const page = expected.plainHTTP ? at(gatewayIP) : (await behind('policies')).caddy
  forPolicies = async () => page
  return page
}

// admittedBy is a page whose browser a policy approves.
async function admittedBy(watcher, profile) {
  await until('the policy approves', () => watcher.log().includes('"message":"approved'))
  return await admitted(profile)
}

test('--approve-browser admits one browser and leaves the next one pending', async t => {
  const page = await forPolicies()
  const watcher = await gateway.watch(`--approve=token+cidr:${clientIP}/32`, '--approve-browser')
  t.after(() => watcher.stop())
  const { profile } = await visited(t, `${page}/#token=${token}`)
  assert.deepEqual((await admittedBy(watcher, profile)).scopes.toSorted(), asked)
  const second = await visited(t, `${page}/#token=${token}`)
  assert.equal(second.answer.code, 'PAIRING_REQUIRED')
  await until('the watcher leaves it pending', () => watcher.log().includes('--approve-max is reached: 1'))
  assert.ok(!second.profile.answers.some(answer => answer.in))
})

test('--approve-browser admits nobody after its time', async t => {
  const page = await forPolicies()
  const watcher = await gateway.watch('--approve=token', '--approve-browser', '--approve-max', '9', '--approve-for', '1ms')
  t.after(() => watcher.stop())
  const { profile, answer } = await visited(t, `${page}/#token=${token}`)
  assert.equal(answer.code, 'PAIRING_REQUIRED')
  await until('the watcher leaves it pending', () => watcher.log().includes('the time of --approve-for is over'))
  assert.ok(!profile.answers.some(answer => answer.in))
})

test('behind reverse proxies with TLS: first by policy, then by a link or a person, over a reload and a restart', async t => {
  const pages = await behind('proxied', process.env.BOOTSTRAP, 'run', `--approve=first+cidr:${clientIP}/32`, '--approve-browser', '--')
  const first = await visited(t, `${expected.plainHTTP ? at(gatewayIP) : pages.caddy}/#token=${token}`)
  assert.deepEqual((await admittedBy(gateway, first.profile)).scopes.toSorted(), asked)

  const profiles = []
  for (const [proxy, page] of Object.entries(pages)) {
    await foretold(page, 12, expected.links ? /a new one needs a link/ : /a new one needs an approval, once[^]*hint +\S*bootstrap approve --list\n/)
    const { profile, answer } = await visited(t, expected.links ? (await link('--url', page)).url : `${page}/#token=${token}`)
    if (expected.links) {
      assert.deepEqual([answer.in, answer.scopes?.toSorted()], [true, owner])
    } else {
      assert.equal(answer.code, 'PAIRING_REQUIRED')
      await profile.sees(expected.waiting, `${proxy}-pending`)
      await approve(answer)
      assert.deepEqual((await admitted(profile)).scopes.toSorted(), asked)
    }
    await profile.sees(expected.inside, proxy)
    assert.equal((await profile.open(`${page}/`)).in, true, `by ${proxy}, after a reload`)
    profile.answers = []
    profiles.push([proxy, page, profile])
  }
  await gateway.stop()
  await gateway.start(process.env.BOOTSTRAP, 'run', '--')
  for (const [proxy, page, profile] of profiles) {
    await profile.connected()
    assert.equal((await profile.open(`${page}/`)).in, true, `by ${proxy}, after a restart of the gateway`)
  }
})
