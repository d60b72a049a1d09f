// A profile of a million nodes (or `NODES`), the same in every run, as speedscope's JSON: a format that both
// viewers read. A random recursive tree (each node hangs on any earlier one), 20,000 names, weights with a long
// tail. Every node without children is one sample.
export const NODES = Number(process.env.NODES ?? 1_000_000);
const NAMES = 20_000;

export function millionNodes(nodes = NODES) {
  let state = 42;
  const random = () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
  const parent = new Int32Array(nodes).fill(-1);
  const name = new Int32Array(nodes);
  const isInner = new Uint8Array(nodes);
  for (let i = 0; i < nodes; i++) {
    name[i] = Math.floor(random() * NAMES);
    if (i === 0) continue;
    parent[i] = Math.floor(random() * i);
    isInner[parent[i]] = 1;
  }
  const chunks = [];
  let samples = [];
  let count = 0;
  const weights = [];
  for (let i = 0; i < nodes; i++) {
    if (isInner[i]) continue;
    const stack = [];
    for (let at = i; at >= 0; at = parent[at]) stack.push(name[at]);
    samples.push(`[${stack.reverse().join()}]`);
    weights.push(Math.ceil(1e6 / (1e-3 + random())));
    count++;
    if (samples.length === 20_000) {
      chunks.push(samples.join());
      samples = [];
    }
  }
  if (samples.length > 0) chunks.push(samples.join());
  const total = weights.reduce((a, b) => a + b, 0);
  const frames = Array.from({ length: NAMES }, (_, i) => `{"name":"ns${i % 97}::Type${i % 911}::method_${i}"}`).join();
  const head = `{"$schema":"https://www.speedscope.app/file-format-schema.json","shared":{"frames":[${frames}]},"profiles":[{"type":"sampled","name":"cpu","unit":"nanoseconds","startValue":0,"endValue":${total},`;
  return { text: `${head}"samples":[${chunks.join()}],"weights":[${weights.join()}]}]}`, samples: count };
}
