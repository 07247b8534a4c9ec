/** The bytes of memory in use, without garbage. Needs `--expose-gc`. */
export function bytesInUse(): number {
  const { gc } = globalThis as { gc?: () => void };
  if (gc === undefined) throw new Error("Garbage cannot be told from what is in use without --expose-gc.");
  gc();
  gc();
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}
