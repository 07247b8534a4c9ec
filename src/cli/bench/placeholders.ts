const PLACEHOLDER = "__rand_int__";

/** The words of the n-th call: `__rand_int__` stands for the call's number, as redis-benchmark's stands for a random one. */
export function filled(words: readonly string[]): (number: number) => readonly string[] {
  if (!words.some((word) => word.includes(PLACEHOLDER))) return () => words;
  return (number) => words.map((word) => word.replaceAll(PLACEHOLDER, String(number)));
}
