/** The name of a frame's first command, spelled as the frame spells it. */
export function commandNameOf(frame: string): string {
  const start = frame.indexOf("\n", frame.indexOf("$")) + 1;
  return frame.slice(start, frame.indexOf("\r", start));
}
