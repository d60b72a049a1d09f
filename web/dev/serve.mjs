// The built viewer in front of a running server: dist/ from here, under the server's own policy, and
// /api passed on. So a change to the viewer needs no new server.
//
//   npm run build && STOKER_URL=http://localhost:4040 node dev/serve.mjs [PORT]
import { readFileSync } from "node:fs";
import { createServer, request } from "node:http";
import { extname, join, normalize } from "node:path";

const dist = new URL("../dist/", import.meta.url).pathname;
const server = new URL(process.env.STOKER_URL ?? "http://localhost:4040");
const port = Number(process.argv[2] ?? 4050);
const policy = "default-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; object-src 'none'";
const types = { ".html": "text/html; charset=utf-8", ".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml" };

function pass(incoming, outgoing) {
  const { origin: _, ...headers } = { ...incoming.headers, host: server.host };
  const asked = request({ hostname: server.hostname, port: server.port, path: incoming.url, method: incoming.method, headers }, (answer) => {
    outgoing.writeHead(answer.statusCode ?? 502, answer.headers);
    answer.pipe(outgoing);
  });
  asked.on("error", () => outgoing.destroy());
  outgoing.on("close", () => asked.destroy());
  incoming.pipe(asked);
}

createServer((incoming, outgoing) => {
  const { pathname } = new URL(incoming.url ?? "/", "http://localhost");
  if (pathname.startsWith("/api/")) return pass(incoming, outgoing);
  const isPage = pathname === "/" || pathname.startsWith("/l/");
  const path = join(dist, normalize(isPage ? "/index.html" : pathname));
  try {
    if (!path.startsWith(dist)) throw new Error("outside");
    const bytes = readFileSync(path);
    outgoing.writeHead(200, { "content-type": types[extname(path)] ?? "application/octet-stream", "content-security-policy": policy }).end(bytes);
  } catch {
    outgoing.writeHead(404).end("not found\n");
  }
}).listen(port, "127.0.0.1", () => console.log(`viewer at http://localhost:${port}, server at ${server.origin}`));
