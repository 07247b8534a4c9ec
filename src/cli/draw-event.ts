import type { Gap } from "../subscriptions/gap.ts";
import type { Message } from "../subscriptions/subscription.ts";
import { printable } from "./printable.ts";
import type { Paint } from "./terminal.ts";

/** The most channels of a gap that a line names. */
const MOST_NAMES = 5;

/**
 * A line for a message or a gap.
 * @param now  Milliseconds since 1970.
 */
export function drawEvent(event: Message | Gap, now: number, paint: Paint): string {
  const time = paint.faint(timeOf(now));
  if ("reason" in event) return `${time}  ${paint.alarm(drawGap(event))}`;
  return `${time}  ${paint.strong(printable(event.channel))}  ${printable(event.payload)}`;
}

function drawGap({ channels, from, to, reason }: Gap): string {
  const names = channels.slice(0, MOST_NAMES).map(printable).join(", ");
  const more = channels.length > MOST_NAMES ? ` and ${channels.length - MOST_NAMES} more` : "";
  const about = `(${reason}): ${names}${more}`;
  if (to === null) return `*** gap since ${timeOf(from)} ${about}`;
  return `*** gap ends after ${((to - from) / 1000).toFixed(3)} s ${about}`;
}

function timeOf(ms: number): string {
  return new Date(ms).toISOString();
}
