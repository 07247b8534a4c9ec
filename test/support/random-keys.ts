/** A generator of repeatable chance (mulberry32). */
export function seeded(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

const PIECES = [
  "{",
  "}",
  "{}",
  "{a}",
  "a",
  "Z",
  "0",
  " ",
  "é",
  "ß",
  "€",
  "漢",
  "😀",
  "\ud83d",
  "\ude00",
  "\u0000",
  "\r\n",
  "~",
];

/** Keys full of braces, non-ASCII text and unpaired surrogates, binary ones, and the empty one. */
export function randomKeys(count: number, seed: number): (string | Buffer)[] {
  const random = seeded(seed);
  const upTo = (most: number) => Math.floor(random() * (most + 1));
  return Array.from({ length: count }, (_, index) => {
    if (index === 0) return "";
    if (random() < 0.2) {
      const bytes = Buffer.from(Array.from({ length: upTo(24) }, () => upTo(255)));
      for (let brace = upTo(3); brace > 0 && bytes.length > 0; brace--) {
        bytes[upTo(bytes.length - 1)] = random() < 0.5 ? 0x7b : 0x7d;
      }
      return bytes;
    }
    const length = random() < 0.02 ? 100 + upTo(200) : upTo(10);
    return Array.from({ length }, () => PIECES[upTo(PIECES.length - 1)]).join("");
  });
}
