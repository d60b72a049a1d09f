/**
 * Small stable hashes. Colours and zoom paths are derived from names through these, so they must
 * give the same number in every browser, session and release: changing them changes every picture
 * and breaks every shared link. Held by golden values in the tests.
 */

/** FNV-1a over UTF-16 code units; unsigned 32 bits. */
export function hashText(text: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) {
    hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
  }
  return avalanche(hash);
}

/** Joins two hashes; the order of the arguments matters. Unsigned 32 bits. */
export function joinHash(a: number, b: number): number {
  return avalanche(Math.imul(a ^ 0x9e3779b9, 0x85ebca6b) + b);
}

/** The finaliser of MurmurHash3 (Austin Appleby, public domain): every input bit reaches all others. */
function avalanche(value: number): number {
  let hash = value | 0;
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}
