// A package registry for one test: it keeps what "npm publish" puts, and gives it
// back. It listens on loopback, and prints its port.
"use strict";
const http = require("node:http");

const packages = new Map(); // the document of each name
const tarballs = new Map(); // by the path of the URL

function publish(document) {
  for (const [file, { data }] of Object.entries(document._attachments)) {
    tarballs.set(`/-/${file.split("/").pop()}`, Buffer.from(data, "base64"));
  }
  for (const version of Object.values(document.versions)) {
    version.dist.tarball = `http://127.0.0.1:${server.address().port}/-/${version.dist.tarball.split("/").pop()}`;
  }
  delete document._attachments;
  packages.set(document.name, document);
}

const server = http.createServer((request, response) => {
  const path = decodeURIComponent(request.url);
  const parts = [];
  request.on("data", (part) => parts.push(part));
  request.on("end", () => {
    if (request.method === "PUT") {
      publish(JSON.parse(Buffer.concat(parts)));
      response.writeHead(201).end("{}");
    } else if (tarballs.has(path)) {
      response.end(tarballs.get(path));
    } else if (packages.has(path.slice(1))) {
      response.setHeader("content-type", "application/json");
      response.end(JSON.stringify(packages.get(path.slice(1))));
    } else {
      response.writeHead(404).end("{}");
    }
  });
});
server.listen(0, "127.0.0.1", () => console.log(server.address().port));
