import { type Call, type CallKind, makeCall } from "../../src/routing/call.ts";

const KIND: CallKind = {
  owner: { onRefused() {}, onLost() {}, onExpired() {}, onSettled() {}, onRejected() {} },
  wantsBuffers: false,
  mayRepeat: false,
  runsCode: false,
  reads: false,
  readFrom: "primary",
  hedge: undefined,
  target: undefined,
  script: undefined,
  registered: undefined,
  parse: undefined,
  blocking: undefined,
  transaction: undefined,
};

/** A call that nobody sends: for what only holds calls. */
export function idleCall(slot: number, reject: (error: Error) => void = () => {}): Call {
  return makeCall(KIND, "", slot, 0, () => {}, reject);
}
