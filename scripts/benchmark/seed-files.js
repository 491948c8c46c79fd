// What people run before the first boot in a container of their own: the gateway's
// key, and one operator whose public key is known, in the files of old releases.
const fs = require("fs"), path = require("path"), crypto = require("crypto");
const state = process.env.OPENCLAW_STATE_DIR;
const write = (file, value) => {
  fs.mkdirSync(path.dirname(path.join(state, file)), { recursive: true, mode: 0o700 });
  fs.writeFileSync(path.join(state, file), JSON.stringify(value, null, 2) + "\n", { mode: 0o600 });
};
const id = (raw) => crypto.createHash("sha256").update(raw).digest("hex");
const now = Date.now(), role = "operator";
const scopes = ["admin", "approvals", "pairing", "read", "talk.secrets", "write"].map((s) => "operator." + s);
const entry = (raw) => ({
  deviceId: id(raw), publicKey: raw.toString("base64url"), clientId: "cli", clientMode: "cli",
  role, roles: [role], scopes, approvedScopes: scopes,
  tokens: { operator: { token: crypto.randomBytes(32).toString("base64url"), role, scopes, createdAtMs: now } },
  createdAtMs: now, approvedAtMs: now,
});
const { publicKey, privateKey } = crypto.generateKeyPairSync("ed25519");
const own = publicKey.export({ type: "spki", format: "der" }).subarray(-32);
const client = Buffer.from(process.env.CLIENT_KEY, "base64url");
write("identity/device.json", {
  version: 1, deviceId: id(own), createdAtMs: now,
  publicKeyPem: publicKey.export({ type: "spki", format: "pem" }),
  privateKeyPem: privateKey.export({ type: "pkcs8", format: "pem" }),
});
write("devices/paired.json", { [id(own)]: entry(own), [id(client)]: entry(client) });
