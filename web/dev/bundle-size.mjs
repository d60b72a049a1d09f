// Prints what the built viewer weighs, gzipped, and fails if it outgrows its limit.
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { gzipSync } from "node:zlib";

const LIMIT_BYTES = 200 * 1024;
const dist = new URL("../dist", import.meta.url).pathname;

let sum = 0;
for (const entry of readdirSync(dist, { recursive: true, withFileTypes: true })) {
  if (!entry.isFile()) continue;
  sum += gzipSync(readFileSync(join(entry.parentPath, entry.name)), { level: 9 }).length;
}
console.log(`bundle: ${(sum / 1024).toFixed(1)} KiB gzipped, all files (limit ${LIMIT_BYTES / 1024} KiB)`);
if (sum > LIMIT_BYTES) process.exit(1);
