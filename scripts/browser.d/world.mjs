// What the suite works with: gateways, one browser, and relays in its network.
import { spawn, execFile } from 'node:child_process'
import { createRequire } from 'node:module'
import { existsSync, mkdirSync, openSync, readFileSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { DatabaseSync } from 'node:sqlite'
import path from 'node:path'

const env = process.env
export const release = env.BROWSER_RELEASE
export const work = env.BROWSER_WORK
export const gatewayIP = env.BROWSER_GATEWAY_IP
export const clientIP = env.BROWSER_CLIENT_IP
export const token = 'a-token-for-tests-alone'

// A machine may be slow; nothing here is decided by how slow it is.
const patience = 600_000

const children = new Set()

function start(name, command, args, options = {}) {
  const file = path.join(work, `${name}-${children.size}.log`)
  const log = openSync(file, 'w')
  const child = spawn(command, args, { stdio: ['ignore', log, log], ...options })
  children.add(child)
  const ended = new Promise(resolve => child.once('exit', (code, signal) => {
    children.delete(child)
    resolve(code ?? signal)
  }))
  return {
    pid: child.pid,
    log: () => readFileSync(file, 'utf8'),
    hasEnded: () => child.exitCode !== null || child.signalCode !== null,
    async stop() {
      child.kill('SIGTERM')
      return await ended
    },
  }
}

// endAll ends what was started and still runs.
export function endAll() {
  for (const child of children) child.kill('SIGKILL')
}
process.once('exit', endAll)

const pause = ms => new Promise(resolve => setTimeout(resolve, ms))

// until waits for something to be true, and returns it.
export async function until(what, happened) {
  const deadline = Date.now() + patience
  for (;;) {
    const result = await happened()
    if (result) return result
    if (Date.now() > deadline) throw new Error(`in vain: ${what}`)
    await pause(100)
  }
}

export async function freePort() {
  const server = createServer()
  await new Promise(resolve => server.listen(0, '0.0.0.0', resolve))
  const { port } = server.address()
  await new Promise(resolve => server.close(resolve))
  return port
}

// Gateway is one state directory and port, with a gateway on it or none.
export class Gateway {
  constructor(name, port, config = {}) {
    this.name = name
    this.port = port
    this.state = path.join(work, name)
    this.config = config
    mkdirSync(this.state, { recursive: true })
    this.configure(config)
  }

  configure(gateway) {
    writeFileSync(path.join(this.state, 'openclaw.json'),
      JSON.stringify({ plugins: { enabled: false }, gateway: { mode: 'local', ...gateway } }))
  }

  environment() {
    return {
      PATH: env.PATH, HOME: path.join(work, 'home'), OPENCLAW_STATE_DIR: this.state, OPENCLAW_GATEWAY_TOKEN: token,
      OPENCLAW_GATEWAY_PORT: String(this.port), BOOTSTRAP_GATEWAY_PACKAGE: env.BROWSER_PACKAGE,
    }
  }

  // bootstrap runs a command beside it.
  bootstrap(...args) {
    return new Promise(resolve => {
      execFile(env.BOOTSTRAP, args, { env: this.environment() }, (error, stdout, stderr) =>
        resolve({ code: error ? error.code : 0, stdout, stderr }))
    })
  }

  // watch is "approve --watch", once it watches.
  async watch(...args) {
    const watcher = start('watch', env.BOOTSTRAP, ['approve', '--watch', ...args], { env: this.environment() })
    await until('the watcher watches', () => {
      if (watcher.hasEnded()) throw new Error(`the watcher ended:\n${watcher.log()}`)
      return watcher.log().includes('watching for pairing requests')
    })
    return watcher
  }

  async start(...wrapper) {
    // On a busy machine its own five seconds for a lease may not be enough (2026.9.6), or it
    // meets a lock of its own.
    const busy = /state lease heartbeat did not become ready|sidecars failed to start: Error: database is locked/
    for (let tries = 1; !await this.startOnce(wrapper); tries++) {
      if (tries === 5 || !busy.test(this.log())) throw new Error(`the gateway ended:\n${this.log()}`)
    }
  }

  async startOnce(wrapper) {
    const words = [...wrapper, process.execPath, path.join(env.BROWSER_PACKAGE, 'openclaw.mjs'), 'gateway', '--port', String(this.port), '--bind', 'lan']
    this.process = start(this.name, words[0], words.slice(1), { env: this.environment() })
    await until('the gateway answers, or has ended', async () => {
      await pause(500)
      return this.process.hasEnded() || (await this.bootstrap('approve', '--list')).code === 0
    })
    return !this.process.hasEnded()
  }

  stop() {
    return this.process.stop()
  }

  log() {
    return this.process.log()
  }

  // rows of its database.
  rows(query, ...values) {
    const database = new DatabaseSync(path.join(this.state, 'state', 'openclaw.sqlite'))
    database.exec('PRAGMA busy_timeout = 5000')
    try {
      return database.prepare(query).all(...values)
    } finally {
      database.close()
    }
  }

  async pending() {
    const { stdout } = await this.bootstrap('approve', '--list', '--json')
    return JSON.parse(stdout).pending
  }
}

// forward listens on the browser's own loopback, as a published port does.
export async function forward(port, to) {
  const relay = start('forward', 'ip', ['netns', 'exec', env.BROWSER_NAMESPACE, process.execPath,
    new URL('forward.mjs', import.meta.url).pathname, String(port), gatewayIP, String(to)])
  await until('the relay listens', () => relay.log().includes('listening'))
  return relay
}

// documented is the block of that language in docs/browser.md, with other words in it.
export function documented(language, words) {
  const page = readFileSync(new URL('../../docs/browser.md', import.meta.url), 'utf8')
  let block = new RegExp(`^\`\`\`${language}\n([^]*?)^\`\`\``, 'm').exec(page)[1]
  for (const [word, other] of Object.entries(words)) {
    if (!block.includes(word)) throw new Error(`docs/browser.md has no ${word} in its ${language}`)
    block = block.replaceAll(word, other)
  }
  return block
}

async function proxy(name, command, args, port) {
  const proxy = start(name, command, args, {
    env: { PATH: env.PATH, HOME: path.join(work, 'home'), XDG_DATA_HOME: path.join(work, 'caddy'), XDG_CONFIG_HOME: path.join(work, 'caddy') },
  })
  await until(`${command} listens`, async () => {
    if (proxy.hasEnded()) throw new Error(`${command} ended:\n${proxy.log()}`)
    return await new Promise(resolve => execFile('ss', ['-Hltn', `sport = :${port}`], (_, out) => resolve(out !== '')))
  })
  return proxy
}

// caddy is a reverse proxy with the configuration that it is given.
export async function caddy(name, config, port) {
  const file = path.join(work, `${name}.Caddyfile`)
  writeFileSync(file, config)
  return await proxy(name, 'caddy', ['run', '--adapter', 'caddyfile', '--config', file], port)
}

// certificates is where caddy keeps those that it has made for gateway.example.
export const certificates = path.join(work, 'caddy', 'caddy', 'certificates', 'local', 'gateway.example')

// nginx is one with that server block, in one process, and a certificate of caddy's.
export async function nginx(name, server, port) {
  await until('caddy has made a certificate', () => existsSync(path.join(certificates, 'gateway.example.key')))
  const file = path.join(work, `${name}.conf`)
  writeFileSync(file, `daemon off;\nmaster_process off;\npid ${file}.pid;\nerror_log stderr;\nevents {}\nhttp {\naccess_log off;\n${server}}\n`)
  return await proxy(name, 'nginx', ['-e', 'stderr', '-c', file], port)
}

// trust has the browser trust caddy's own authority.
export async function trust() {
  const root = path.join(work, 'caddy', 'caddy', 'pki', 'authorities', 'local', 'root.crt')
  const store = path.join(work, 'home', '.pki', 'nssdb')
  mkdirSync(store, { recursive: true })
  await until('caddy has an authority', () => {
    try { return readFileSync(root).length > 0 } catch { return false }
  })
  const certutil = args => new Promise((resolve, reject) => {
    execFile('certutil', ['-d', `sql:${store}`, ...args], error => error ? reject(error) : resolve())
  })
  await certutil(['-N', '--empty-password'])
  await certutil(['-A', '-n', 'local', '-t', 'C,,', '-i', root])
}

const driver = createRequire(path.join(env.BROWSER_DRIVER, 'package.json'))('playwright-core')

// openBrowser starts Chromium in its network; names lead to the gateway's address.
export function openBrowser(names) {
  return driver.chromium.launch({
    executablePath: path.join(work, 'chromium'), headless: true, timeout: patience,
    env: { PATH: env.PATH, HOME: path.join(work, 'home') },
    args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
      '--disable-component-update', '--disable-sync',
      `--host-resolver-rules=${names.map(name => `MAP ${name} ${gatewayIP}`).join(',')}`],
  })
}

// Profile is a browser profile that has never been here before.
export class Profile {
  static async fresh(browser) {
    const profile = new Profile()
    profile.context = await browser.newContext({ viewport: { width: 1100, height: 700 } })
    profile.context.setDefaultTimeout(patience)
    profile.page = await profile.context.newPage()
    profile.answers = []
    profile.page.on('websocket', socket => socket.on('framereceived', ({ payload }) => profile.heard(String(payload))))
    return profile
  }

  // heard notes the answers to connect; while the gateway starts the page asks again.
  heard(frame) {
    let answer
    try { answer = JSON.parse(frame) } catch { return }
    if (answer.type !== 'res') return
    if (answer.ok && answer.payload?.type === 'hello-ok') this.answers.push({ in: true, scopes: answer.payload.auth.scopes })
    if (answer.ok === false && answer.error?.details?.code) this.answers.push({ in: false, code: answer.error.details.code, message: answer.error.message, details: answer.error.details })
  }

  // open goes to an address, and returns the gateway's first answer since then.
  async open(address) {
    this.answers = []
    // From another place: a URL that differs behind the # alone would not be loaded.
    await this.page.goto('about:blank')
    const response = await this.page.goto(address, { timeout: patience })
    if (response && response.status() >= 400) return { in: false, status: response.status(), text: await response.text() }
    return await this.answer()
  }

  async answer(wanted = () => true) {
    return await until(`an answer that was looked for among ${JSON.stringify(this.answers)}`, () => this.answers.find(wanted))
  }

  connected() {
    return this.answer(answer => answer.in)
  }

  // sees waits for words on the page, and takes a picture of it.
  async sees(words, picture) {
    await this.page.getByText(words).first().waitFor({ state: 'visible' })
    if (picture) await this.page.screenshot({ path: path.join(env.BROWSER_OUT, `${picture}.png`) })
  }

  // isSecure tells whether the page has WebCrypto.
  isSecure() {
    return this.page.evaluate(() => isSecureContext && crypto.subtle !== undefined)
  }

  close() {
    return this.context.close()
  }
}
