/** The name of the command that a frame begins with, as it is sent. */
export function commandNameOf(frame: string): string {
  const start = frame.indexOf("\n", frame.indexOf("$")) + 1;
  return frame.slice(start, frame.indexOf("\r", start));
}
