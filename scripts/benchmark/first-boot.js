// What a seeding script would do before the first boot, with the writes and
// the fsyncs of bootstrap; then the gateway takes its place.
const fs = require("fs"), path = require("path"), crypto = require("crypto");
const state = process.env.OPENCLAW_STATE_DIR;
const sync = (file) => { const fd = fs.openSync(file, "r"); fs.fsyncSync(fd); fs.closeSync(fd); };
const makeDir = (dir) => { fs.mkdirSync(dir, { mode: 0o700 }); sync(path.dirname(dir)); };
const write = (file, value) => {
  const temporary = file + ".tmp", fd = fs.openSync(temporary, "wx", 0o600);
  fs.writeSync(fd, JSON.stringify(value, null, 2) + "\n");
  fs.fsyncSync(fd);
  fs.closeSync(fd);
  fs.renameSync(temporary, file);
  sync(path.dirname(file));
};
fs.mkdirSync(state, { mode: 0o700, recursive: true }); // an empty volume is there
for (const dir of ["bootstrap", "identity", "devices"]) makeDir(path.join(state, dir));
const { publicKey, privateKey } = crypto.generateKeyPairSync("ed25519");
const raw = publicKey.export({ type: "spki", format: "der" }).subarray(-32);
const deviceId = crypto.createHash("sha256").update(raw).digest("hex");
const now = Date.now(), role = "operator", token = crypto.randomBytes(32).toString("base64url");
const scopes = ["admin", "approvals", "pairing", "read", "talk.secrets", "write"].map((s) => "operator." + s);
write(path.join(state, "identity/device.json"), {
  version: 1, deviceId, createdAtMs: now,
  publicKeyPem: publicKey.export({ type: "spki", format: "pem" }),
  privateKeyPem: privateKey.export({ type: "pkcs8", format: "pem" }),
});
write(path.join(state, "devices/paired.json"), { [deviceId]: {
  deviceId, publicKey: raw.toString("base64url"), displayName: "bootstrap", clientId: "cli", clientMode: "cli",
  role, roles: [role], scopes, approvedScopes: scopes,
  tokens: { operator: { token, role, scopes, createdAtMs: now } }, createdAtMs: now, approvedAtMs: now,
} });
write(path.join(state, "identity/device-auth.json"), {
  version: 1, deviceId, tokens: { operator: { token, role, scopes, updatedAtMs: now } },
});
write(path.join(state, "bootstrap/audit.jsonl"), { at: now, deviceId, scopes });
write(path.join(state, "bootstrap/ledger.json"), { version: 1, devices: { [deviceId]: { scopes, seededAtMs: now } } });
process.execve(process.argv[1], process.argv.slice(1), process.env);
