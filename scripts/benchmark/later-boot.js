// What a seeding script would read before a later boot: is the device there,
// with its token and its scopes? Then the gateway takes its place.
const fs = require("fs"), path = require("path"), crypto = require("crypto");
const state = process.env.OPENCLAW_STATE_DIR, database = path.join(state, "state/openclaw.sqlite");
const read = (file) => JSON.parse(fs.readFileSync(path.join(state, file), "utf8"));
const check = (id, publicPem, privatePem, tokens, token) => {
  const signed = crypto.sign(null, Buffer.from(id), privatePem);
  if (!crypto.verify(null, Buffer.from(id), publicPem, signed)) throw new Error("identity");
  if (tokens.operator.token !== token) throw new Error("token");
};
const ledger = read("bootstrap/ledger.json");
if (fs.existsSync(database)) {
  const { DatabaseSync } = require("node:sqlite");
  const db = new DatabaseSync(database);
  db.exec("PRAGMA busy_timeout = 5000");
  db.prepare("PRAGMA user_version").get();
  db.prepare("PRAGMA table_info(device_pairing_paired)").all();
  db.prepare("SELECT expires_at, payload_json FROM state_leases WHERE scope = 'gateway-owner' AND lease_key = 'global'").get();
  db.prepare("SELECT created_at FROM schema_meta WHERE meta_key = 'primary'").get();
  const me = db.prepare("SELECT * FROM device_identities WHERE identity_key = 'primary'").get();
  const paired = db.prepare("SELECT * FROM device_pairing_paired WHERE device_id = ?").get(me.device_id);
  const auth = db.prepare("SELECT token FROM device_auth_tokens WHERE device_id = ? AND role = 'operator'").get(me.device_id);
  check(me.device_id, me.public_key_pem, me.private_key_pem, JSON.parse(paired.tokens_json), auth.token);
  db.close();
} else {
  const me = read("identity/device.json"), paired = read("devices/paired.json")[me.deviceId];
  check(me.deviceId, me.publicKeyPem, me.privateKeyPem, paired.tokens, read("identity/device-auth.json").tokens.operator.token);
}
if (!ledger.devices) throw new Error("ledger");
process.execve(process.argv[1], process.argv.slice(1), process.env);
